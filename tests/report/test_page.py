"""The page in a real browser: its numbers are the library's, and a damaged map is refused."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deel_seg.data.dataset_info import distinct_colours
from deel_seg.report import write_report
from tests.report.browser import browse
from tests.report.certified import HOSTILE, QUOTED

SHOWN = "document.documentElement.dataset.shown"
STOPS = (0, 12, 20, 27, 40)


def has_browser() -> bool:
    try:
        return importlib.util.find_spec("PySide6.QtWebEngineCore") is not None
    except ImportError:
        return False


pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.skipif(
        not has_browser(), reason="needs a browser: pip install 'deel_seg[browser]'"
    ),
]

NUMBERS = """JSON.stringify(Object.fromEntries(["alone", "crs", "crpa", "regions"].map(
  (id) => [id, document.getElementById(`number-${id}`).dataset.value]
)))"""
WORST = """(() => {
  const canvas = document.getElementById("canvas-worst");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return JSON.stringify(Array.from(data));
})()"""


@pytest.fixture(scope="module")
def page(certified_folder: Path) -> Path:
    return write_report(certified_folder, verbose=0)


def set_value(name: str, value: Any) -> dict[str, str]:
    return {
        "js": f"(() => {{ const e = document.getElementById({name!r});"
        f" e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    }


def of_picture(page: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(page.parent / "maps" / f"{name}.npz") as file:
        return dict(file)


def test_the_slider_shows_what_the_library_certifies(page: Path) -> None:
    steps: list[dict[str, Any]] = [{"until": SHOWN}]
    for number in range(2):
        steps += [set_value("picture", str(number)), {"until": f"{SHOWN}.startsWith('{number}/')"}]
        for stop in STOPS:
            steps += [set_value("budget", stop), {"js": NUMBERS}]
    seen = browse(page, steps)
    assert seen["console"] == []
    numbers = [json.loads(each) for each in seen["results"] if each]
    for number, name in enumerate((QUOTED, HOSTILE)):
        found = of_picture(page, name)
        labels = found.get("report/labels")
        counted = np.ones(found["radius"].shape, bool) if labels is None else labels != 255
        total = int(counted.sum())
        for place, stop in enumerate(STOPS):
            shown = numbers[number * len(STOPS) + place]
            eps = found["report/stops"][stop]
            assert int(shown["alone"]) == (found["radius"][counted] > eps).sum()
            assert int(shown["crs"]) * 2**24 // total == found["report/crs"][stop] * 2**24
            assert int(shown["regions"]) == found["report/regions_held"][stop]
            if labels is None:
                assert shown["crpa"] == ""
            else:
                assert int(shown["crpa"]) * 2**24 // total == found["report/crpa"][stop] * 2**24


def test_the_worst_case_is_drawn_pixel_by_pixel(page: Path) -> None:
    stop = 20
    steps = [
        {"until": SHOWN},
        set_value("picture", "1"),
        {"until": f"{SHOWN}.startsWith('1/')"},
        {"js": "document.querySelector('#against [value=prediction]').click()"},
        set_value("budget", stop),
        {"js": WORST},
    ]
    drawn = np.array(json.loads(browse(page, steps)["results"][-1])).reshape(9, 14, 4)[..., :3]
    found = of_picture(page, HOSTILE)
    counted = found["report/labels"] != 255
    lost = counted & (found["report/level"] < found["report/lost"][stop])
    assert lost.sum() == found["report/lost_count"][stop] > 0
    colours = np.array(distinct_colours(3))
    pale = np.floor(colours + (255 - colours) * 0.6 + 0.5)
    expected = np.where(lost[..., None], colours[found["report/second"]], pale[found["predicted"]])
    assert (drawn[counted] == expected[counted]).all()
    assert (drawn[~counted] == 204).all()


@pytest.mark.parametrize("damage", ["pixel", "byte"])
def test_a_damaged_map_is_not_shown(page: Path, tmp_path: Path, damage: str) -> None:
    text = page.read_text("utf-8")
    picture = json.loads(re.findall(r'id="picture-0">(.*?)</script>', text)[0])
    content = bytearray(zlib.decompress(base64.b64decode(picture["data"])))
    if damage == "pixel":  # One pixel more that is never lost, in a stream that is whole.
        shape = (picture["height"], picture["width"])
        level = np.frombuffer(bytes(content[: shape[0] * shape[1]]), np.uint8).reshape(shape).copy()
        if picture["differences"][0]:
            level = np.cumsum(level, axis=1, dtype=np.uint8)
        least = np.unravel_index(np.where(level == 0, 0, 1).argmin(), shape)
        level[least] = level.max()
        if picture["differences"][0]:
            level = np.diff(level, axis=1, prepend=np.uint8(0)).astype(np.uint8)
        content[: level.size] = level.tobytes()
        packed = zlib.compress(bytes(content))
    else:
        packed = bytearray(zlib.compress(bytes(content)))
        packed[-1] ^= 1
    old, new = picture["data"], base64.b64encode(packed).decode()
    assert old != new and text.count(old) == 1
    damaged = tmp_path / "damaged.html"
    damaged.write_text(text.replace(old, new), encoding="utf-8")
    seen = browse(
        damaged,
        [
            {"until": SHOWN},
            {"js": SHOWN},
            {"js": "document.getElementById('explorer-error').textContent"},
            {"js": "document.getElementById('numbers').hidden"},
        ],
    )
    shown, message, hidden = seen["results"]
    assert shown == "0/refused" and "This picture is not shown" in message and hidden is True
    if damage == "pixel":
        assert "other numbers than the library" in message


def test_the_table_is_sorted_filtered_and_opens_the_explorer(page: Path) -> None:
    first = "document.querySelector('#pictures-table tbody tr:not([hidden]) th').innerText"
    steps = [
        {"until": SHOWN},
        {"js": first},
        {"js": "document.querySelector('button.sort').click()"},
        {"js": first},
        {"js": "document.querySelector('#pictures-table th[aria-sort]').getAttribute('aria-sort')"},
        set_value("filter-text", "SCRIPT"),
        {"js": "document.getElementById('filter-count').textContent"},
        {"js": "document.querySelectorAll('button.open')[0].click()"},
        {"until": f"{SHOWN}.startsWith('1/')"},
        {"js": "document.querySelectorAll('script').length"},
        {"js": "document.getElementById('budget').getAttribute('aria-valuetext')"},
    ]
    seen = browse(page, steps, dark=True)
    values = [value for value in seen["results"] if value not in (None, "")]
    # Names in the order of their characters: a quotation mark comes before a bracket.
    assert values[:5] == [QUOTED, HOSTILE, "descending", "1 of 2 pictures", 4]
    assert values[5].startswith("eps ") and seen["console"] == []


def test_a_page_about_nothing_opens_quietly(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    folder.mkdir()
    for name in ("summary.json", "manifest.json", "audit.json"):
        (folder / name).write_text((page.parent / name).read_text())
    (folder / "results.csv").write_text("image\n")
    steps = [{"js": "document.getElementById('guarantees').innerText"}]
    seen = browse(write_report(folder, verbose=0), steps)
    assert "No picture was certified" in seen["results"][0] and seen["console"] == []
