from __future__ import annotations

import io
import re
import sys
from typing import Any

import numpy as np
import pytest

from deel_seg.data.shapes import INFO, render
from deel_seg.visualize import certified_figure, certify_segmentation
from deel_seg.visualize.canvas import percent

# matplotlib's constrained layout, not the library, decides how quick these are.
SIZE = 24


@pytest.fixture
def scene() -> dict[str, Any]:
    image, labels = render(0, SIZE)
    noise = np.random.default_rng(0).normal(size=(SIZE, SIZE, 5))
    labels = labels.astype("int32")
    logits = (np.eye(5)[labels] + 0.5 * noise).astype("float32")
    labels[:3] = 255
    return {"image": image / 255.0, "logits": logits, "labels": labels, "ignore_class": 255}


def panel(figure: Any, title: str) -> Any:
    (found,) = [axes for axes in figure.axes if axes.get_title().startswith(title)]
    return found


def pixels(figure: Any, title: str) -> np.ndarray:
    return np.asarray(panel(figure, title).images[0].get_array())


def test_every_panel_shows_what_it_says(scene: dict[str, Any]) -> None:
    figure = certified_figure(**scene, eps=0.3, class_names=INFO.class_names, title="A scene")
    arrays = {key: scene[key] for key in ("logits", "labels", "ignore_class")}
    result = certify_segmentation(**arrays, eps=0.3)
    colours, grey = np.array(INFO.palette) / 255.0, 0.8
    kept = result.kept
    np.testing.assert_array_equal(pixels(figure, "image"), scene["image"])
    np.testing.assert_array_equal(pixels(figure, "prediction"), colours[result.predicted])
    np.testing.assert_array_equal(pixels(figure, "labels")[kept], colours[scene["labels"][kept]])
    np.testing.assert_array_equal(pixels(figure, "labels")[~kept], grey)
    np.testing.assert_array_equal(
        np.ma.filled(pixels(figure, "budget"), np.nan)[kept], result.radius[kept]
    )
    alone = pixels(figure, "certified")
    certified = kept & (result.radius > 0.3)
    np.testing.assert_array_equal(alone[certified], colours[result.predicted[certified]])
    np.testing.assert_array_equal(alone[kept & ~certified], 1.0)
    worst = pixels(figure, "worst case")
    assert result.lost.any()
    np.testing.assert_array_equal(worst[result.lost], colours[result.worst[result.lost]])
    left = kept & ~result.lost
    assert (worst[left] >= 0.5).all(), "pixels that are left are pale"
    assert figure.get_suptitle() == "A scene"


def test_the_titles_give_the_certificates_rounded_down(scene: dict[str, Any]) -> None:
    figure = certified_figure(**scene, eps=0.3)
    arrays = {key: scene[key] for key in ("logits", "labels", "ignore_class")}
    bound = certify_segmentation(**arrays, eps=0.3).bound
    (shown,) = re.findall(r"accuracy ≥ ([\d.]+) %", panel(figure, "worst case").get_title())
    assert 100 * bound - 0.1 < float(shown) <= 100 * bound
    assert percent(0.98999) == "98.9 %"


def test_without_labels_the_panel_and_the_word_accuracy_are_gone(scene: dict[str, Any]) -> None:
    figure = certified_figure(scene["image"], scene["logits"], eps=0.3)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(figure.axes) == 6
    assert not any("accuracy" in title or title == "labels" for title in titles)
    assert "unchanged" in panel(figure, "worst case").get_title()


def test_the_legend_names_the_classes_that_are_there(scene: dict[str, Any]) -> None:
    figure = certified_figure(**scene, eps=0.3, class_names=INFO.class_names)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[-2:] == ["not certified", "ignored"]
    assert "background" in names
    assert set(names[:-2]) <= set(INFO.class_names)


def test_it_can_be_saved(scene: dict[str, Any]) -> None:
    file = io.BytesIO()
    certified_figure(**scene, eps=0.3).savefig(file, format="png", dpi=40)
    assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_a_binary_model_and_grey_images(channels: tuple[int, ...]) -> None:
    logits = np.random.default_rng(1).normal(size=(8, 8, 1))
    figure = certified_figure(np.zeros((8, 8, *channels)), logits, eps=0.1)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["0", "1", "not certified"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((8, 8, 4))}, r"`image` .* Received: shape=\(8, 8, 4\)"),
        ({"image": np.zeros((9, 8, 3))}, "`image`"),
        ({"palette": [(0, 0, 0)]}, "`palette`"),
        ({"class_names": ["one"]}, "`class_names`"),
        ({"eps": -0.1}, "`eps`"),
    ],
)
def test_errors_say_what_was_received(changes: dict[str, Any], message: str) -> None:
    arguments = {"image": np.zeros((8, 8, 3)), "logits": np.zeros((8, 8, 3)), "eps": 0.1, **changes}
    with pytest.raises(ValueError, match=message):
        certified_figure(**arguments)


def test_a_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"deel_seg\[visualize\]"):
        certified_figure(np.zeros((4, 4, 3)), np.zeros((4, 4, 2)), eps=0.1)
