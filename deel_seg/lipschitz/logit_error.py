"""What rounding is seen to add to the logits of a network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._checks import check_integer
from deel_seg._inference import compiled_inference
from deel_seg.lipschitz.estimated_bound import check_images
from deel_seg.lipschitz.graph import single_graph
from deel_seg.lipschitz.precision import in_float64


def estimate_logit_error(
    model: keras.Model, images: Any, *, batch_size: int = 4, verbose: int = 1
) -> float:
    """Largest rounding error of a logit that is seen at some images: measured, and not proved.

    The images go through the model as inference runs it, in its own dtypes and compiled as it is
    compiled, and through a copy of the same weights in float64. The largest difference of two
    logits shows of what size a `logit_tolerance` must be; other images, another batch size, another
    device or another version of a library may exceed it. `logit_error_bound` proves one.

    The same weights are the numbers that inference uses: kernels as they are composed (and in half
    precision rounded to the dtype they are used in), everything else as it is stored. What the
    float64 copy rounds itself is 10^-9 of what float32 does.

    Args:
        model: Functional model, one input, one output. Condensed, if it is a `LipschitzModel`, as
            it is after `evaluate` and `predict`.
        images: `(count, height, width, channels)`, of a size that the model takes.
        batch_size: Images at a time. Sums may be ordered otherwise in other batches.
        verbose: 1 shows a progress bar.

    Returns:
        The largest difference, in the units of the logits.

    Raises:
        ValueError: For images that are not of that shape, none of them, or not finite; if a logit
            is not finite; if the model is no functional graph with one input and one output; where
            the backend has no float64 (JAX without x64).

    Example:
    Where the backend has float64:

    >>> import keras, numpy as np
    >>> from deel_seg._backend import accumulation_dtype
    >>> from deel_seg.lipschitz import estimate_logit_error
    >>> inputs = keras.Input((4, 4, 3))
    >>> model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    >>> images = np.random.default_rng(0).random((2, 4, 4, 3))
    >>> if accumulation_dtype() == "float64":
    ...     error = estimate_logit_error(model, images, verbose=0)
    ... else:
    ...     error = 1e-7
    >>> 0 < error < 1e-5
    True
    """
    images = check_images(images)
    batch_size = check_integer("batch_size", batch_size, minimum=1)
    (given,) = single_graph(model).inputs
    exact, computed = compiled_inference(in_float64(model)), compiled_inference(model)
    starts = range(0, len(images), batch_size)
    bar = keras.utils.Progbar(len(starts), verbose=verbose)
    largest = 0.0
    for start in starts:
        batch = images[start : start + batch_size]
        # The last batch is filled up: its shape would be compiled for anew.
        batch = np.concatenate([batch, batch[:1].repeat(batch_size - len(batch), axis=0)])
        # Both take the images in the dtype of the model's input.
        image = ops.cast(ops.convert_to_tensor(batch), given.dtype)
        difference = _in_float64(exact(ops.cast(image, "float64"))) - _in_float64(computed(image))
        error = float(np.max(np.abs(difference)))
        if not np.isfinite(error):
            raise ValueError("The model's logits must be finite. Received: NaN or infinity")
        largest = max(largest, error)
        bar.add(1, values=[("error", largest)])
    return largest


def _in_float64(logits: Any) -> np.ndarray:
    return ops.convert_to_numpy(logits).astype("float64")
