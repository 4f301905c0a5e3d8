"""How far the logits that other programs compute may be from the exact ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from deel_seg._backend import accumulation_dtype
from deel_seg._checks import received
from deel_seg.lipschitz import estimate_logit_error

SAFETY = 10  # Other programs add in other orders, and other images round otherwise.
_SIZES = (64, 128, 256, 512)  # Of images of a network that takes any size.
_IMAGES = 2


def measured_tolerance(
    network: keras.Model, images: Any, input_range: tuple[float, float]
) -> tuple[float, str]:
    """Ten times the largest error of a logit that is seen, and in words how it was found.

    Args:
        network: Images to logits.
        images: Where to look; `None` draws some at random.
        input_range: Smallest and largest value of those.

    Raises:
        ValueError: Where there is no float64 to compare with (JAX without x64), and as
            `estimate_logit_error`.
    """
    if accumulation_dtype() != "float64":
        raise ValueError(
            "The error of the logits cannot be measured without float64: pass `logit_tolerance`. "
            + received(logit_tolerance=None, backend=keras.backend.backend())
        )
    where = "given" if images is not None else "random"
    if images is None:
        images = _random_images(network, input_range)
    error = estimate_logit_error(network, images, verbose=0)
    size = "x".join(str(size) for size in np.shape(images)[1:3])
    return SAFETY * error, (
        f"{SAFETY} times the largest error of a logit seen against float64, at {len(images)} "
        f"{where} images of {size} pixels: measured, not proved"
    )


def _random_images(network: keras.Model, input_range: tuple[float, float]) -> np.ndarray:
    generator = np.random.default_rng(0)
    _, height, width, channels = network.input_shape
    returned: dict[Any, Any] = {}
    for size in _SIZES:
        shape = (_IMAGES, height or size, width or size, channels)
        returned[shape[1:3]] = network.compute_output_shape(shape)[1:3]
        # A network of more strides than the size can be halved returns another size.
        if returned[shape[1:3]] == shape[1:3]:
            return generator.uniform(*input_range, size=shape).astype("float32")
    raise ValueError(
        "Logits need the height and width of the image, each pixel its own: of images of "
        f"{' or '.join(f'{high}x{wide}' for high, wide in returned)} pixels they have others. "
        "Padding that is not 'same' makes them smaller; where strides divide other sizes alone, "
        "pass `images`. "
        + received(input_shape=network.input_shape, logits=tuple(returned.values()))
    )
