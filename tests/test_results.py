"""docs/results.md and README.md say what the files of the runs say."""

from __future__ import annotations

from benchmarks import report, report_attacks, report_readme, report_smoothing


def test_the_page_is_made_of_the_files() -> None:
    assert report.PAGE.read_text() == report.page(report.read_runs(), report.read_models())


def test_a_changed_figure_is_seen() -> None:
    runs = report.read_runs()
    runs["camvid_own"]["metrics"]["pixel_accuracy"] += 0.001
    assert report.PAGE.read_text() != report.page(runs, report.read_models())


def test_the_times_of_smoothing_are_those_of_the_file() -> None:
    text = report_smoothing.PAGE.read_text()
    assert report_smoothing.page(text) == text
    row = report_smoothing.PART.of(text).split("\n| S | 128x128 |")[1]
    assert report_smoothing.page(text.replace(row[:20], "| 0 |")) == text


def test_the_tables_of_attacks_are_those_of_the_files() -> None:
    text = report_attacks.PAGE.read_text()
    assert report_attacks.page(text) == text
    assert "leaves more" not in text


def test_the_figures_of_the_readme_are_those_of_the_files() -> None:
    text = report_readme.PAGE.read_text()
    assert report_readme.page(text) == text
    assert report_readme.page(text.replace("| mean IoU", "| median IoU")) == text
