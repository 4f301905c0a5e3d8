"""Reads one image file and its label file into one array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from deel_seg._checks import received
from deel_seg.data.dataset_info import VOID
from deel_seg.data.examples import Pixels

# Pillow clips these to 8 bits without a word when asked for RGB.
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_INDEX_MODES = ("L", "1", "I", "I;16", "I;16B", "I;16L", "I;16N")


class LabelDecoder(Protocol):
    """Turns an opened label file into labels; its `repr` tells it from other decoders."""

    def __call__(self, label: Image.Image, source: Path | str) -> Pixels: ...


@dataclass(frozen=True)
class IndexLabels:
    """Labels stored as one number per pixel.

    Attributes:
        mapping: `(value in the file, label)` for every value a file may hold.
        palette_indices: Whether the numbers of a palette file are such values. Off, because
            the numbers of a palette made from a coloured picture mean nothing.
    """

    mapping: tuple[tuple[int, int], ...]
    palette_indices: bool = False

    @classmethod
    def of(cls, mapping: Mapping[int, int], *, palette_indices: bool = False) -> IndexLabels:
        return cls(tuple(sorted(mapping.items())), palette_indices)

    def __call__(self, label: Image.Image, source: Path | str) -> Pixels:
        expected = f"expected one channel of class numbers {_ranges(v for v, _ in self.mapping)}"
        if label.mode == "P" and not self.palette_indices:
            raise ValueError(f"Label file {source} is a picture with a colour palette; {expected}.")
        if label.mode not in _INDEX_MODES and label.mode != "P":
            raise ValueError(f"Label file {source} holds colours (mode {label.mode}); {expected}.")
        values = np.asarray(label).astype(np.int64)
        table = np.full(256, -1, np.int16)
        for value, meaning in self.mapping:
            table[value] = meaning
        labels = table[np.clip(values, 0, 255)]
        wrong = (labels < 0) | (values < 0) | (values > 255)
        if wrong.any():
            found = _ranges(np.unique(values[wrong]).tolist())
            raise ValueError(f"Label file {source} holds {found}; {expected}.")
        return labels.astype(np.uint8)


@dataclass(frozen=True)
class ThresholdLabels:
    """Labels stored as a grey picture: 1 where it is at least `threshold`, else 0."""

    threshold: int = 128

    def __call__(self, label: Image.Image, source: Path | str) -> Pixels:
        if label.mode in DEEP_MODES:
            raise ValueError(
                f"Label file {source} has mode {label.mode}; expected 8 bits a channel."
            )
        return (np.asarray(label.convert("L")) >= self.threshold).astype(np.uint8)


def read_pair(
    image_path: Path, label_path: Path, size: tuple[int, int], decoder: LabelDecoder
) -> Pixels:
    """Reads, checks and resizes an image file and its label file.

    Args:
        image_path: Any file Pillow reads with at most 8 bits a channel.
        label_path: The label file.
        size: `(height, width)` of the result.
        decoder: What the label file means.

    Returns:
        What `join` returns.

    Raises:
        ValueError: If a file cannot be read or `join` refuses it; the message names it.
    """
    return join(
        _open(image_path), _open(label_path), size, decoder, sources=(image_path, label_path)
    )


def join(
    image: Image.Image,
    label: Image.Image,
    size: tuple[int, int],
    decoder: LabelDecoder,
    *,
    sources: tuple[Path | str, Path | str],
) -> Pixels:
    """Checks an image and its labels and puts both at one size into one array.

    Images are resized bilinearly, with antialiasing when they shrink; labels take the
    nearest pixel. What has the wanted size is left as it is.

    Args:
        image: Picture of at most 8 bits a channel; converted to RGB.
        label: Picture of the labels, of the same size as the image.
        size: `(height, width)` of the result.
        decoder: What `label` means.
        sources: The image and the label file, for messages.

    Returns:
        uint8 `(height, width, 4)`: red, green, blue, label.

    Raises:
        ValueError: If the two sizes differ, the image is deeper than 8 bits, or the labels
            are not what `decoder` expects.
    """
    if image.mode in DEEP_MODES:
        raise ValueError(f"Image {sources[0]} has mode {image.mode}; expected 8 bits a channel.")
    if image.size != label.size:
        raise ValueError(
            f"Label file {sources[1]} is {label.width} x {label.height} pixels; expected "
            f"{image.width} x {image.height}, the size of its image {sources[0]}."
        )
    labels = Image.fromarray(decoder(label, sources[1]))
    width_height = (size[1], size[0])
    image = image.convert("RGB")
    if image.size != width_height:
        image = image.resize(width_height, Image.Resampling.BILINEAR)
        labels = labels.resize(width_height, Image.Resampling.NEAREST)
    pixels = np.empty((*size, 4), np.uint8)
    pixels[..., :3] = np.asarray(image)
    pixels[..., 3] = np.asarray(labels)
    return pixels


def identity_mapping(num_classes: int) -> dict[int, int]:
    """Returns the mapping of files that hold the labels themselves and 255 for void."""
    return {**{value: value for value in range(num_classes)}, VOID: VOID}


def check_mapping(name: str, mapping: Mapping[int, int] | None, num_classes: int) -> dict[int, int]:
    """The label of each value a file may hold; the labels themselves for None; or raises."""
    if mapping is None:
        return identity_mapping(num_classes)
    if any(
        value not in range(256) or (label not in range(num_classes) and label != VOID)
        for value, label in mapping.items()
    ):
        raise ValueError(
            f"`{name}` must take values 0-255 to labels 0-{num_classes - 1} or to 255, void. "
            f"{received(**{name: dict(mapping)})}"
        )
    return dict(mapping)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except Exception as error:  # Pillow raises over ten types on broken files.
        raise ValueError(
            f"Cannot read {path}; expected a complete picture file such as PNG or JPEG ({error})."
        ) from error


def _ranges(values: Iterable[int]) -> str:
    """Formats sorted numbers, `"0-10, 255"`."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in runs)
