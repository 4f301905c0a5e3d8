"""The page holds what the library found, whatever files are called, and the same each time."""

from __future__ import annotations

import base64
import csv
import html.parser
import io
import itertools
import json
import re
import shutil
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deel_seg.folders.kept import Kept
from deel_seg.report import write_report
from deel_seg.report.curves import Curve
from deel_seg.report.figure import draw_curves
from deel_seg.report.numbers import budget, percent
from deel_seg.report.payload import pack
from tests.report.certified import EPS, HOSTILE, QUOTED, REFUSED, SIZE, certify

pytestmark = pytest.mark.one_backend


class Tags(html.parser.HTMLParser):
    """What a browser takes for elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def out(certified_folder: Path) -> Path:
    return certified_folder


@pytest.fixture(scope="module")
def text(certified_folder: Path) -> str:
    return write_report(certified_folder, verbose=0).read_text("utf-8")


def payloads(text: str) -> list[dict[str, Any]]:
    found = re.findall(r'<script type="application/json" id="picture-\d+">(.*?)</script>', text)
    return [json.loads(each) for each in found]


def edited(out: Path, to: Path, name: str | None = None, **arrays: np.ndarray) -> Path:
    """A copy of the files, with other arrays of one picture."""
    shutil.copytree(out, to)
    if name is not None:
        path = to / "maps" / f"{name}.npz"
        with np.load(path) as file:
            found = dict(file)
        np.savez(path, **{**found, **arrays})
    return to


def only_rows(folder: Path, keep: set[str]) -> None:
    """Drops the other pictures from the files."""
    path = folder / "results.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]) if keep else ["image"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows([row for row in rows if row["image"] in keep])
    path.write_text(written.getvalue())


@pytest.mark.slow
def test_names_are_text_and_nothing_comes_from_elsewhere(text: str) -> None:
    tags = Tags(text)
    scripts = [attributes for tag, attributes in tags.found if tag == "script"]
    assert [each.get("type") for each in scripts] == [*["application/json"] * 3, None]
    assert not any(tag == "img" for tag, _ in tags.found)
    for _, attributes in tags.found:
        assert not set(attributes) & {"src", "onmouseover", "onclick", "style"}
        assert (attributes.get("href") or "#").startswith("#")
    shown = "".join(tags.words)
    assert HOSTILE in shown and QUOTED in shown and REFUSED in shown
    assert not re.search(r"https?://|@import|url\(|fetch\(", text)


def test_every_input_has_a_name_and_every_table_a_caption(text: str) -> None:
    tags = Tags(text)
    count = {tag: sum(each == tag for each, _ in tags.found) for tag in ("table", "caption", "h1")}
    assert count["table"] == count["caption"] > 4 and count["h1"] == 1
    assert 'lang="en"' in text and 'aria-live="polite"' in text and "prefers-color-scheme" in text
    for name in re.findall(r'<input[^>]* id="([\w-]+)"', text):
        inside = re.search(
            rf'<label[^>]*>[^<]*(<span[^>]*>[^<]*</span>)?<input[^>]* id="{name}"', text
        )
        assert inside or f'<label for="{name}"' in text, name
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    for name in re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', text):
        assert name in ids


def test_payloads_hold_the_maps_and_the_librarys_counts(out: Path, text: str) -> None:
    found = {each["name"]: each for each in payloads(text)}
    assert set(found) == {HOSTILE, QUOTED}
    for name, picture in found.items():
        with np.load(out / "maps" / f"{name}.npz") as file:
            arrays = dict(file)
        maps = unpacked(picture)
        assert (maps["predicted"] == arrays["predicted"]).all()
        assert (maps["level"] == arrays["report/level"]).all()
        assert picture["labelled"] == ("labels" in maps) == (name == HOSTILE)
        counts, total = picture["counts"], picture["counts"]["counted"]
        for stop, crs in enumerate(arrays["report/crs"]):
            assert Fraction(float(crs)) == floored(total - counts["lost"][stop], total)
        if name == HOSTILE:
            assert (maps["labels"] == arrays["report/labels"]).all() and total == 124
            for stop, crpa in enumerate(arrays["report/crpa"]):
                right = counts["right"] - counts["lostRight"][stop]
                assert Fraction(float(crpa)) == floored(right, total)


def floored(part: int, whole: int) -> Fraction:
    """A share as the certificates round it."""
    return Fraction(part * 2**24 // whole, 2**24)


def unpacked(picture: dict[str, Any]) -> dict[str, np.ndarray]:
    content = zlib.decompress(base64.b64decode(picture["data"]))
    shape = (len(picture["planes"]), picture["height"], picture["width"])
    planes = np.frombuffer(content, np.uint8).reshape(shape)
    return {
        name: np.cumsum(plane, axis=1, dtype=np.uint8) if difference else plane
        for name, plane, difference in zip(
            picture["planes"], planes, picture["differences"], strict=True
        )
    }


def test_numbers_in_the_tables_are_the_rows_rounded_down(out: Path, text: str) -> None:
    rows = list(csv.DictReader(io.StringIO((out / "results.csv").read_text("utf-8"))))
    for row in rows:
        for name in [f"crs@{eps:g}" for eps in EPS]:
            assert f'data-value="{row[name]}">{percent(float(row[name]))}<' in text
    least = min(float(row["crs@0.2"]) for row in rows)
    assert f"at least {percent(least)} of the pixels of every picture keep" in text
    accuracy = next(row["crpa@0.2"] for row in rows if row["crpa@0.2"] != "nan")
    assert f"at least {percent(float(accuracy))} of the labelled pixels" in text
    assert "measured, not proved" in text, "what the guarantee rests on is said"


def test_the_page_is_the_same_again(out: Path, text: str) -> None:
    certify(out.parent)  # Everything is there.
    assert write_report(out, verbose=0).read_text("utf-8") == text


def test_files_that_hold_no_report_are_refused_in_a_sentence(out: Path, tmp_path: Path) -> None:
    path = edited(out, tmp_path / "old") / "maps" / f"{HOSTILE}.npz"
    with np.load(path) as file:
        old = {key: file[key] for key in file.files if not key.startswith("report/")}
    np.savez(path, **old)
    digest = str(old["digest"])
    settings = json.loads((tmp_path / "old" / "settings.json").read_text())
    assert Kept(tmp_path / "old", settings).has(HOSTILE, digest)
    assert not Kept(tmp_path / "old", settings, report=True).has(HOSTILE, digest)
    with pytest.raises(ValueError, match=r"holds nothing for a report.*Received: folder="):
        write_report(tmp_path / "old", verbose=0)
    path.unlink()
    with pytest.raises(ValueError, match="is missing"):
        write_report(tmp_path / "old", verbose=0)
    with pytest.raises(ValueError, match=r"summary\.json is missing"):
        write_report(tmp_path, verbose=0)
    with pytest.raises(ValueError, match="`class_names` must be a sequence"):
        write_report(out, class_names="abc", verbose=0)


def test_one_picture_without_labels_none_at_all_and_too_many(
    out: Path, text: str, tmp_path: Path
) -> None:
    one = edited(out, tmp_path / "one")
    only_rows(one, {QUOTED})
    page = write_report(one, verbose=0).read_text("utf-8")
    assert "1 picture certified" in page and "CRPA @" not in page
    assert "of the pixels of the picture keep" in page
    none = edited(out, tmp_path / "none")
    only_rows(none, set())
    page = write_report(none, verbose=0).read_text("utf-8")
    assert "No picture was certified" in page and REFUSED.replace("<", "&lt;") in page.replace(
        "&gt;", ">"
    )
    small = edited(out, tmp_path / "small")
    half = len(text.encode()) / 1e6 - 0.001
    page = write_report(small, max_megabytes=half, verbose=0).read_text("utf-8")
    assert len(payloads(page)) == 1 and "1 picture without a button" in page
    assert len(page.encode()) <= half * 1e6


def test_classes_beyond_8_bits(out: Path, tmp_path: Path) -> None:
    many = np.full(SIZE, 777, "uint16")
    folder = edited(
        out, tmp_path / "many", QUOTED, **{"predicted": many, "report/second": many - 1}
    )
    only_rows(folder, {QUOTED})
    [picture] = payloads(write_report(folder, verbose=0).read_text("utf-8"))
    maps = unpacked(picture)
    assert (maps["predicted"] + 256 * maps["predictedHigh"].astype(int) == 777).all()


def test_differences_are_undone() -> None:
    ramp = np.arange(600, dtype=np.uint32).reshape(2, 300).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (2, 300)).astype(np.uint8)
    data, differences = pack([ramp, noise])
    assert differences[0]
    picture = {"data": data, "planes": ["a", "b"], "differences": differences}
    maps = unpacked({**picture, "height": 2, "width": 300})
    assert (maps["a"] == ramp).all() and (maps["b"] == noise).all()


def test_numbers_are_never_shown_too_large() -> None:
    generator = np.random.default_rng(1)
    for value in generator.uniform(size=200):
        assert Fraction(percent(value).removesuffix(" %")) / 100 <= Fraction(value)
        large = float(value) * 10.0 ** generator.integers(-6, 6)
        assert 0 <= Fraction(large) - Fraction(budget(large)) <= Fraction(large) / 99
    assert budget(1e-5) == "1e-05" and budget(0.5) == "0.5"


def test_a_figure_without_a_drop_or_with_a_single_budget() -> None:
    for points in ([(0.0, 1.0)], [(0.5, 0.3)], [(0.0, 1.0), (0.1, 1.0), (0.2, 1.0)]):
        drawn = draw_curves([Curve("x", points, "circle", False, 0)], (2, 2, 3), (0.0, 1.0))
        assert len(drawn["table"]) == len(points)
        for x, y in drawn["lines"][0]["marks"]:
            assert drawn["left"] <= x <= drawn["right"] and drawn["top"] <= y <= drawn["bottom"]


def test_a_line_promises_nothing_between_budgets() -> None:
    points = [(0.0, 1.0), (0.1, 0.75), (1.0, 0.0)]
    drawn = draw_curves([Curve("x", points, "circle", False, 0)], (2, 2, 3), (0.0, 1.0))
    path = [tuple(map(float, each.split(","))) for each in drawn["lines"][0]["path"].split()]
    marks = drawn["lines"][0]["marks"]
    assert set(marks) <= set(path)
    for (x, y), (next_x, next_y) in itertools.pairwise(path):
        # Down at once, then along: the page's vertical axis points downwards.
        assert (x == next_x and next_y >= y) or y == next_y
