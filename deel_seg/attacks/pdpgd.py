"""Primal-dual proximal gradient descent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.attack import Attack
from deel_seg.attacks.augmented_lagrangian import constraints, wanted_pixels
from deel_seg.attacks.ball import norms_above, per_image
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import View
from deel_seg.attacks.schedules import geometric, linear

Tensor = Any

_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-8  # Adam's
_SMOOTHING = 0.9  # Of the dual variables.
_SHARPNESS = 5.0  # Factor of the constraints in the softplus.
_RANGE = -math.log(1e-12)
_INNER = 5  # Proximal steps in a metric have no closed form for the norm.


@dataclass(frozen=True, kw_only=True)
class PDPGD(Attack):
    r"""Descent in the change and ascent in a weight for each pixel, by turns.

    The weights of all pixels and that of the norm add up to 1. The change follows Adam on the
    weighted $\mathrm{softplus}$ of the constraints of `augmented_lagrangian`, and then the proximal
    step of the norm, over the norm that is expected. The authors take margins and norms as they
    are, and all pixels: with small logits nothing moves for long then, and at last everything.

    `attack(model, images, labels, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Has no part in it: margins are taken relative to their size.
        step_size: Length of the first step of Adam, over the norm that is expected.
        last_step: What is left of it in the end.
        dual_step_size: First step of the weights, which fall to a tenth of that.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import PDPGD
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> options = {"threshold": 0.5, "expected_norm": 0.1}
    >>> result = PDPGD(steps=300)(lambda x: x, images, np.zeros((1, 1, 2), int), **options)
    >>> 0.0707 < float(result.norms[0]) < 0.11
    True

    References:
        Matyasko, Chau, PDPGD: Primal-Dual Proximal Gradient Descent Adversarial Attack, 2021.
    """

    minimal = True

    steps: int = 500
    step_size: float = 0.3
    last_step: float = 0.01
    dual_step_size: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("step_size", "last_step", "dual_step_size"):
            check_real(name, getattr(self, name), minimum=0, exclusive_minimum=True)

    def start(self, given: Given) -> State:
        zeros = ops.zeros_like(given.images)
        # All weights together are 1/2.
        first = -ops.log(given.counted)[:, None, None] + ops.zeros_like(given.clean_margins)
        duals = ops.where(given.goal.mask, first, -math.inf)
        return {
            "change": zeros,
            "mean": zeros,
            "square": zeros,
            "duals": duals,
            "weights": _weights(duals),
        }

    def lowered(self, view: View, given: Given, state: State) -> Tensor:
        values = constraints(view.margins, given)
        wanted = ops.stop_gradient(wanted_pixels(values, given))
        values = ops.softplus(_SHARPNESS * values)
        return ops.sum(wanted * state["weights"] * values, axis=(1, 2))

    def step(self, given: Given, state: State, seen: Seen) -> State:
        number = ops.cast(seen.step, "float32") + 1.0
        values = constraints(seen.margins, given)
        wanted = wanted_pixels(values, given)
        mean = _FIRST * state["mean"] + (1 - _FIRST) * seen.gradient
        square = _SECOND * state["square"] + (1 - _SECOND) * ops.square(seen.gradient)
        metric = ops.sqrt(square / (1.0 - _SECOND**number)) + _LEAST
        size = ops.cast(ops.size(given.images[0]), "float32")
        first = self.step_size * given.expected / ops.sqrt(size)
        length = geometric(seen.step, self.steps, first, self.last_step)
        moved = seen.change - length * mean / (1.0 - _FIRST**number) / metric

        of_pixels = ops.clip(ops.sum(wanted * state["weights"], axis=(1, 2)), 1e-6, 1.0 - 1e-6)
        steepest = ops.max(metric, axis=(1, 2, 3))
        shrunk = per_image((1.0 - of_pixels) / of_pixels * length / steepest / given.expected)
        change = moved
        for _ in range(_INNER):
            nearer = change - metric / per_image(steepest) * (change - moved)
            norms = per_image(ops.maximum(norms_above(nearer), 2.0**-60))
            change = nearer * ops.maximum(0.0, 1.0 - shrunk / norms)
            change = ops.clip(given.images + change, given.lower, given.upper) - given.images

        pace = linear(seen.step, self.steps, self.dual_step_size, 0.1 * self.dual_step_size)
        duals = ops.clip(state["duals"] + pace * wanted * ops.sign(values), -_RANGE, _RANGE)
        duals = ops.where(given.goal.mask, duals, -math.inf)
        weights = _SMOOTHING * state["weights"] + (1.0 - _SMOOTHING) * _weights(
            ops.where(wanted > 0, duals, -math.inf)
        )
        return {
            "change": change,
            "mean": mean,
            "square": square,
            "duals": duals,
            "weights": weights,
        }


def _weights(duals: Tensor) -> Tensor:
    """Softmax of the duals and a 0, without the share of the latter, which is that of the norm."""
    largest = ops.maximum(ops.max(duals, axis=(1, 2), keepdims=True), 0.0)
    powers = ops.exp(duals - largest)
    return powers / (ops.exp(-largest) + ops.sum(powers, axis=(1, 2), keepdims=True))
