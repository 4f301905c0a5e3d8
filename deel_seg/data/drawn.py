"""What the drawn data sets share: numbered images, each of a generator of its own, and no files."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deel_seg._checks import check_choice, check_integer, check_pair
from deel_seg.data.examples import Examples, Pixels

SPLITS = {"train": 512, "val": 64, "test": 128}
"""The splits and how many images each has by default."""

Render = Callable[[int, tuple[int, int], int, str], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
"""From index, size, seed and split to an image and its labels."""


def drawn_examples(
    name: str,
    render: Render,
    split: str,
    size: tuple[int, int],
    num_images: int | None,
    content_seed: int,
) -> Examples:
    """Lists the images of a split, which are drawn when they are read."""
    count = check_integer("num_images", SPLITS[split] if num_images is None else num_images)
    check_integer("num_images", count, minimum=1)
    check_integer("content_seed", content_seed, minimum=0)
    names = tuple(f"{split}-{index:05d}" for index in range(count))
    draw = partial(_draw_pixels, render=render, size=size, seed=content_seed, split=split)
    return Examples(names, draw, repr((name, split, size, content_seed, count)))


def drawing(
    index: int, size: int | tuple[int, int], seed: int, split: str
) -> tuple[np.random.Generator, tuple[int, int]]:
    """Returns the generator of an image and its height and width, after checking all of them."""
    check_integer("index", index, minimum=0)
    check_integer("seed", seed, minimum=0)
    check_choice("split", split, SPLITS)
    height_width = check_pair("size", size)
    return np.random.default_rng((seed, list(SPLITS).index(split), index)), height_width


def as_bytes(image: NDArray) -> NDArray[np.uint8]:
    """Returns colours of [0, 1] in 8 bits; what lies outside is clipped."""
    return np.rint(255 * image.clip(0.0, 1.0)).astype(np.uint8)


def waves(
    random: np.random.Generator, rows: NDArray, columns: NDArray, cycles: tuple[float, float]
) -> NDArray:
    """Draws a sine wave in a random direction with some cycles over the shorter side."""
    angle, phase = random.uniform(0.0, 2.0 * math.pi, 2)
    frequency = 2.0 * math.pi * random.uniform(*cycles) / min(rows.shape)
    return np.sin(frequency * (math.cos(angle) * rows + math.sin(angle) * columns) + phase)


def colour_of(hue: float, saturation: float, value: float) -> NDArray:
    """Returns red, green and blue, float32."""
    return np.asarray(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), np.float32)


def _draw_pixels(
    index: int, render: Render, size: tuple[int, int], seed: int, split: str
) -> Pixels:
    return np.dstack(render(index, size, seed, split))
