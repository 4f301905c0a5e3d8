"""What lies in people's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deel_seg.data.read import IndexLabels, identity_mapping
from deel_seg.folders.pictures import (
    UnreadablePicture,
    find_labels,
    find_pictures,
    read_picture,
    size_of,
)

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), "uint8")
DECODER = IndexLabels.of(identity_mapping(3))


def read(path: Path, labels: Path | None = None, **options: Any) -> Any:
    return read_picture(path, labels, DECODER, **options)


def test_colours_are_kept(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    picture = read(tmp_path / "a.png")
    assert (picture.pixels == COLOURS).all() and picture.labels is None and picture.note == ""


def test_grey_and_transparent_pictures_are_noted(tmp_path: Path) -> None:
    Image.fromarray(COLOURS[..., 0]).save(tmp_path / "grey.png")
    grey = read(tmp_path / "grey.png")
    assert (grey.pixels == COLOURS[..., :1]).all() and "grey" in grey.note
    alpha = np.dstack([COLOURS, np.full((5, 7), 255, "uint8")])
    Image.fromarray(alpha).save(tmp_path / "opaque.png")
    assert read(tmp_path / "opaque.png").note == ""
    alpha[0, 0, 3] = 0
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    transparent = read(tmp_path / "alpha.png")
    assert (transparent.pixels == COLOURS).all() and "transparency" in transparent.note
    single = read(tmp_path / "alpha.png", channels=1)
    assert single.pixels.shape == (5, 7, 1) and "made grey" in single.note


def test_the_orientation_of_a_camera_is_followed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Lies on its side.
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=exif)
    assert read(tmp_path / "a.png").pixels.shape == (7, 5, 3)
    assert size_of(tmp_path / "a.png") == (7, 5)


def test_a_single_file_and_several_frames(tmp_path: Path) -> None:
    frames = [Image.fromarray(COLOURS), Image.fromarray(COLOURS[::-1].copy())]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    assert list(find_pictures(tmp_path / "a.tiff")) == ["a.tiff"]
    picture = read(tmp_path / "a.tiff")
    assert (picture.pixels == COLOURS).all() and picture.note == "the first of 2 frames"


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).resize((64, 64)).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.zeros((4, 4), "uint16")).save(tmp_path / "deep.png")
    for name, message in (
        ("cut.jpg", "complete picture"),
        ("text.png", "complete picture"),
        ("deep.png", "8 bits"),
    ):
        with pytest.raises(UnreadablePicture, match=message) as error:
            read(tmp_path / name)
        assert name in str(error.value)
    assert size_of(tmp_path / "text.png") is None


def test_labels_are_those_of_the_picture(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder / "more").mkdir(parents=True)
    for name in ("a.jpg", "more/b.png", ".hidden.png"):
        Image.fromarray(COLOURS).save(tmp_path / "images" / name)
    (tmp_path / "images" / "notes.txt").write_text("no picture")
    classes = np.random.default_rng(1).integers(0, 3, (5, 7), "uint8")
    Image.fromarray(classes).save(tmp_path / "labels" / "more" / "b.png")
    pictures = find_pictures(tmp_path / "images")
    assert list(pictures) == ["a.jpg", "more/b.png"]
    labels = find_labels(tmp_path / "labels", pictures)
    assert list(labels) == ["more/b.png"]
    assert (read(pictures["more/b.png"], labels["more/b.png"]).labels == classes).all()
    Image.fromarray(classes[1:]).save(tmp_path / "labels" / "a.png")
    with pytest.raises(UnreadablePicture, match="expected 7 x 5"):
        read(pictures["a.jpg"], tmp_path / "labels" / "a.png")
    Image.fromarray(classes + 1).save(tmp_path / "labels" / "a.png")
    with pytest.raises(UnreadablePicture, match="holds 3"):
        read(pictures["a.jpg"], tmp_path / "labels" / "a.png")
    Image.fromarray(classes).save(tmp_path / "labels" / "a.bmp")
    with pytest.raises(ValueError, match="one file for each"):
        find_labels(tmp_path / "labels", pictures)


def test_folders_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`images` must be an existing folder"):
        find_pictures(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds none"):
        find_pictures(tmp_path)
    with pytest.raises(ValueError, match="`labels` must hold files of the names"):
        find_labels(tmp_path, {"a.png": tmp_path / "a.png"})
    with pytest.raises(ValueError, match="`labels` must be an existing folder"):
        find_labels(tmp_path / "nowhere", {"a.png": tmp_path / "a.png"})
