"""The l2 ball around each image, and the box that images lie in."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype

Tensor = Any

_EXACT = 1.0 + 2.0**-40  # More than `exact_norms` of any image rounds by.
_ROUNDINGS = {"float64": 2.0**-52, "float32": 2.0**-23}


def per_image(values: Tensor) -> Tensor:
    """`(batch,)` as `(batch, 1, 1, 1)`."""
    return ops.reshape(values, (-1, 1, 1, 1))


def norms_above(changes: Tensor) -> Tensor:
    """Upper bounds of the l2 norm of each change, `(batch,)` float32.

    An attack that claims a smaller norm than it has would seem to break a certificate.
    """
    wide = accumulation_dtype()
    squares = ops.square(ops.cast(changes, wide))
    # Axis by axis, a term goes through few additions.
    for _ in range(3):
        squares = ops.sum(squares, axis=-1)
    terms = ops.cast(sum(ops.shape(changes)[1:]), wide)
    roots = ops.sqrt(squares) * (1.0 + (terms + 8.0) * _ROUNDINGS[wide])
    return ops.cast(roots * (1.0 + 2.0**-22), "float32")


def project(changes: Tensor, eps: Tensor) -> Tensor:
    """Scales each change into the ball of its budget.

    A little inside, for adding it to an image rounds each value to a part in 2^24 of the largest.
    """
    values = ops.cast(np.prod(changes.shape[1:]), "float32")
    inside = ops.sqrt(ops.maximum(eps * eps - values * 2.0**-48, 0.0)) * (1.0 - 2.0**-19)
    norms = norms_above(changes)
    factors = ops.where(norms > inside, inside / ops.maximum(norms, 2.0**-60), 1.0)
    return changes * per_image(factors)


def unit(directions: Tensor) -> Tensor:
    """Each direction over its l2 norm; zeros stay zeros."""
    # Over the largest value first, or squares of small gradients would underflow.
    largest = ops.max(ops.abs(directions), axis=(1, 2, 3), keepdims=True)
    scaled = directions / ops.where(largest > 0, largest, 1.0)
    norms = ops.sqrt(ops.sum(ops.square(scaled), axis=(1, 2, 3), keepdims=True))
    return scaled / ops.maximum(norms, 2.0**-60)


def exact_norms(points: np.ndarray, images: np.ndarray) -> np.ndarray:
    """l2 distances of float32 images, `(batch,)` float64, right to some 2^-45."""
    changes = points.astype("float64") - images.astype("float64")
    return np.sqrt(np.sum(np.square(changes), axis=(1, 2, 3)))


def exact_norms_above(points: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Upper bounds of the l2 distances, as near to them as `exact_norms`."""
    return exact_norms(points, images) * _EXACT


def exactly_inside(points: np.ndarray, images: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """The points, those further than `eps` from their image moved towards it until they are not."""
    points = points.copy()
    shrink = 1.0 - 2.0**-20
    for _ in range(64):
        norms = exact_norms_above(points, images)
        (out,) = np.nonzero(norms > eps)
        if not len(out):
            return points
        factors = (eps[out] * shrink / norms[out])[:, None, None, None]
        changes = points[out].astype("float64") - images[out]
        points[out] = (images[out] + factors * changes).astype("float32")
        shrink *= 1.0 - 2.0**-10
    points[out] = images[out]
    return points
