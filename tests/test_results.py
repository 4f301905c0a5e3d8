"""docs/results.md says what the files of the runs say."""

from __future__ import annotations

from benchmarks import report


def test_the_page_is_made_of_the_files() -> None:
    assert report.PAGE.read_text() == report.page(report.read_runs(), report.read_models())


def test_a_changed_figure_is_seen() -> None:
    runs = report.read_runs()
    runs["camvid_own"]["metrics"]["pixel_accuracy"] += 0.001
    assert report.PAGE.read_text() != report.page(runs, report.read_models())
