"""The lower side: by how much a network is seen to enlarge differences."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg._checks import check_integer, received
from deel_seg._derivatives import jvp, vjp
from deel_seg.lipschitz.precision import in_float64

Tensor = Any

_DISTANCES = (0.1, 1.0, 10.0)  # Of the second image of a pair, in l2.
# What rounding may add to a ratio of norms that are computed through a network's layers.
_ROUNDING = {"float64": 2.0**-40, "float32": 2.0**-12}


def estimate_lipschitz_constant(
    model: keras.Model,
    images: Any,
    *,
    iterations: int = 20,
    batch_size: int = 4,
    seed: int = 0,
    verbose: int = 1,
) -> float:
    """Lower estimate of the l2 Lipschitz constant at inference, from what is seen at some images.

    Around each image the direction is searched in which the logits move most: by power iteration on
    the Jacobian, and from there for a second image at several distances, each step along the
    gradient. The largest ratio seen is a lower bound of the true constant; beside
    `certified_lipschitz_constant` it shows how much of that is slack. Not a number to certify with.

    Computed in float64 where the backend has it, on the same weights; elsewhere in float32, and
    then 2^-12 is taken off for rounding.

    Args:
        model: Functional model, one input, one output.
        images: `(count, height, width, channels)`, of a size that the model takes.
        iterations: Steps of each search. The ratio seen never falls with them.
        batch_size: Images at a time.
        seed: Of the directions that the searches start from.
        verbose: 1 shows a progress bar.

    Returns:
        The largest ratio seen, as a float.

    Raises:
        ValueError: For images that are not of that shape, none of them, or not finite.

    Example:
    >>> import keras, numpy as np
    >>> from deel_seg.lipschitz import estimate_lipschitz_constant
    >>> inputs = keras.Input((4, 4, 1))
    >>> layer = keras.layers.Conv2D(1, (1, 2), kernel_initializer="ones", use_bias=False)
    >>> images = np.zeros((1, 4, 4, 1), "float32")
    >>> model = keras.Model(inputs, layer(inputs))
    >>> 1.7 < estimate_lipschitz_constant(model, images, verbose=0) <= 2.0
    True
    """
    images = check_images(images)
    iterations = check_integer("iterations", iterations, minimum=1)
    batch_size = check_integer("batch_size", batch_size, minimum=1)
    dtype = accumulation_dtype()
    network = in_float64(model) if dtype == "float64" else model
    stretch, reach = _searches(lambda x: network(x, training=False))
    searches: list[Callable] = [stretch]
    searches += [functools.partial(reach, distance=distance) for distance in _DISTANCES]
    generator, best = np.random.default_rng(seed), 0.0
    batches = range(0, len(images), batch_size)
    bar = keras.utils.Progbar(len(batches) * len(searches), verbose=verbose)
    for start in batches:
        batch = images[start : start + batch_size]
        # The last batch is filled up: its shape would be compiled for anew.
        batch = np.concatenate([batch, batch[:1].repeat(batch_size - len(batch), axis=0)])
        image = ops.convert_to_tensor(batch.astype(dtype))
        direction = ops.zeros_like(image)
        for search in searches:
            # Where the outputs do not move at all, another direction may do.
            chance = ops.convert_to_tensor(generator.normal(size=batch.shape).astype(dtype))
            direction = _unit(
                ops.where(_norms(direction)[:, None, None, None] > 0, direction, chance)
            )
            for _ in range(iterations):
                ratios, direction = search(image, direction)
                best = max(best, float(np.max(ops.convert_to_numpy(ratios))))
            bar.add(1, values=[("ratio", best)])
    return best * (1.0 - _ROUNDING[dtype])


def check_images(images: Any) -> Any:
    """`images` as an array `(count, height, width, channels)`, finite, or raises."""
    images = ops.convert_to_numpy(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            "`images` must be of shape (count, height, width, channels), with one image or more. "
            f"{received(shape=images.shape)}"
        )
    if not np.isfinite(images).all():
        raise ValueError("`images` must be finite. Received: NaN or infinity")
    return images


def _searches(function: Callable[[Tensor], Tensor]) -> tuple[Callable, Callable]:
    """One step of the search in the tangent space, and one for a second image at a distance.

    Both take images and unit directions, and return the ratios seen and the next directions.
    """

    def stretch(images: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        moved = jvp(function, images, directions)
        (back,) = vjp(function, [images], moved)
        return _norms(moved), _unit(back)

    def reach(images: Tensor, directions: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        others = images + distance * directions
        moved = function(others) - function(images)
        (back,) = vjp(function, [others], moved)
        # The distance as it is after rounding.
        apart = _norms(others - images)
        return ops.where(apart > 0, _norms(moved) / apart, 0.0), _unit(back)

    compiled_reach = compiled(reach, xla=False)

    def reach_at(images: Tensor, directions: Tensor, distance: float) -> tuple[Tensor, Tensor]:
        return compiled_reach(images, directions, ops.convert_to_tensor(distance, images.dtype))

    return compiled(stretch, xla=False), reach_at


def _norms(values: Tensor) -> Tensor:
    """l2 norm of each image of a batch."""
    return ops.sqrt(ops.sum(ops.square(values), axis=tuple(range(1, len(values.shape)))))


def _unit(values: Tensor) -> Tensor:
    """Each image of a batch divided by its norm, unless that is zero."""
    norms = _norms(values)
    norms = ops.where(norms > 0, norms, 1.0)
    return values / ops.reshape(norms, (-1, *[1] * (len(values.shape) - 1)))
