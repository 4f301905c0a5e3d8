from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deel_seg.data.read import IndexLabels, ThresholdLabels, identity_mapping, read_pair
from tests.data.files import image_of, labels_of, write_picture

THREE = IndexLabels.of(identity_mapping(3))


def save(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def refused(image: Path, label: Path, *words: str, decoder=THREE, size=(4, 6)) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        read_pair(image, label, size, decoder)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "image.png", image_of(9))


@pytest.fixture
def label(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "label.png", labels_of((0, 1, 2, 255)))


def test_files_of_the_wanted_size_are_left_as_they_are(tmp_path: Path, label: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    image = write_picture(tmp_path / "colours.png", colours)
    pixels = read_pair(image, label, (4, 6), THREE)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels[..., :3], colours)
    assert np.array_equal(pixels[..., 3], labels_of((0, 1, 2, 255)))


def test_resizing_averages_colours_and_never_labels(tmp_path: Path) -> None:
    stripes = np.zeros((32, 32), np.uint8)
    stripes[:, ::2] = 2
    image = write_picture(tmp_path / "image.png", np.repeat(stripes[..., None] * 100, 3, axis=-1))
    label = write_picture(tmp_path / "label.png", stripes)
    pixels = read_pair(image, label, (8, 8), THREE)
    # Antialiasing: stripes of 0 and 200 become their mean; without it they would stay.
    assert abs(pixels[1:-1, 1:-1, :3].astype(int) - 100).max() <= 4
    assert set(np.unique(pixels[..., 3])) <= {0, 2}


def test_enlarged_labels_are_blocks(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [2, 255]], np.uint8)
    image = write_picture(tmp_path / "image.png", image_of(0, 2, 2))
    label = write_picture(tmp_path / "label.png", labels)
    pixels = read_pair(image, label, (4, 6), THREE)
    assert np.array_equal(pixels[..., 3], labels.repeat(2, axis=0).repeat(3, axis=1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_images_of_any_8_bit_mode_become_rgb(tmp_path: Path, label: Path, mode: str) -> None:
    picture = Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode)
    image = save(tmp_path / ("image.tif" if mode == "CMYK" else "image.png"), picture)
    assert (read_pair(image, label, (4, 6), THREE)[..., :3] == 255).all()


def test_a_deep_image_is_refused(tmp_path: Path, label: Path) -> None:
    image = save(tmp_path / "deep.png", Image.fromarray(np.full((4, 6), 4000, np.uint16)))
    refused(image, label, str(image), "expected 8 bits")


def test_sizes_that_differ_are_refused(image: Path, tmp_path: Path) -> None:
    label = write_picture(tmp_path / "small.png", labels_of((0,), 3, 6))
    refused(image, label, str(label), "6 x 3", "expected 6 x 4", str(image))


@pytest.mark.parametrize("broken", ["image", "label"])
@pytest.mark.parametrize("content", ["text", "half", "empty"])
def test_unreadable_files_are_named(image: Path, label: Path, broken: str, content: str) -> None:
    path = image if broken == "image" else label
    # Half a tiny PNG would end in its header: take a larger one.
    write_picture(path, np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes({"text": b"no picture", "half": half, "empty": b""}[content])
    refused(image, label, f"Cannot read {path}", "expected")


def test_labels_outside_the_classes_are_listed(image: Path, tmp_path: Path) -> None:
    label = write_picture(tmp_path / "label.png", labels_of((0, 1, 3, 4, 5, 9)))
    refused(image, label, str(label), "holds 3-5, 9; expected", "0-2, 255")


def test_a_wrong_label_is_seen_even_if_resizing_drops_it(tmp_path: Path) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[0, 0] = 7
    image = write_picture(tmp_path / "image.png", image_of(0, 64, 64))
    label = write_picture(tmp_path / "label.png", labels)
    refused(image, label, "holds 7", size=(4, 4))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_coloured_labels_are_refused(image: Path, tmp_path: Path, mode: str) -> None:
    label = save(tmp_path / "label.png", Image.new(mode, (6, 4)))
    refused(image, label, str(label), f"holds colours (mode {mode})", "one channel of class")


def test_palette_labels_are_refused_unless_asked_for(image: Path, tmp_path: Path) -> None:
    picture = Image.fromarray(labels_of((0, 1, 2)))
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    label = save(tmp_path / "label.png", picture)
    refused(image, label, str(label), "palette", "one channel of class numbers 0-2, 255")
    allowed = IndexLabels.of(identity_mapping(3), palette_indices=True)
    assert np.array_equal(read_pair(image, label, (4, 6), allowed)[..., 3], labels_of((0, 1, 2)))


def test_one_bit_and_16_bit_labels_are_numbers_too(image: Path, tmp_path: Path) -> None:
    one_bit = save(tmp_path / "1.png", Image.fromarray(labels_of((0, 255))).convert("1"))
    assert np.array_equal(read_pair(image, one_bit, (4, 6), THREE)[..., 3], labels_of((0, 1)))
    deep = save(tmp_path / "16.png", Image.fromarray(labels_of((0, 2)).astype(np.uint16)))
    assert np.array_equal(read_pair(image, deep, (4, 6), THREE)[..., 3], labels_of((0, 2)))
    wide = save(tmp_path / "w.png", Image.fromarray(labels_of((0, 2)).astype(np.uint16) + 256))
    refused(image, wide, "holds 256, 258")


def test_threshold_is_at_128(image: Path, tmp_path: Path) -> None:
    label = write_picture(tmp_path / "mask.png", labels_of((0, 127, 128, 255)))
    found = read_pair(image, label, (4, 6), ThresholdLabels())[..., 3]
    assert np.array_equal(found, labels_of((0, 0, 1, 1)))
    grey = save(tmp_path / "rgb.png", Image.fromarray(labels_of((0, 255))).convert("RGB"))
    found = read_pair(image, grey, (4, 6), ThresholdLabels())[..., 3]
    assert np.array_equal(found, labels_of((0, 1)))


def test_a_deep_mask_is_refused(image: Path, tmp_path: Path) -> None:
    deep = save(tmp_path / "deep.png", Image.fromarray(np.full((4, 6), 4000, np.uint16)))
    refused(image, deep, str(deep), "expected 8 bits", decoder=ThresholdLabels())
