"""Augmented Lagrangian attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.attack import Attack
from deel_seg.attacks.augmented_lagrangian import (
    Multipliers,
    constraints,
    decay,
    penalty,
    success_at,
    wanted_pixels,
)
from deel_seg.attacks.ball import norms_above, per_image, unit
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import View

Tensor = Any

_MULTIPLIERS = Multipliers(first=1e-4, first_penalty=1.0, growth=1.2)
_SMOOTHING = 0.8  # Of squared gradients, and of steps.


@dataclass(frozen=True, kw_only=True)
class ALMA(Attack):
    """Lowers the norm and, for each pixel, a penalty whose weight follows how far it is off.

    Gradients are divided by the root of their mean squares, and steps smoothed. The first one is
    `first_step` long, and they become shorter after the first success.

    `attack(model, images, labels, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Has no part in it: margins are taken relative to their size.
        first_step: Length of the first step, over the norm that is expected.
        last_step: What is left of the length in the end.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import ALMA
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> options = {"threshold": 0.5, "expected_norm": 0.1}
    >>> result = ALMA(steps=200)(lambda x: x, images, np.zeros((1, 1, 2), int), **options)
    >>> 0.0707 < float(result.norms[0]) < 0.08
    True

    References:
        Rony et al., Augmented Lagrangian Adversarial Attacks, ICCV 2021.
    """

    minimal = True

    steps: int = 500
    first_step: float = 1.0
    last_step: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("first_step", self.first_step, minimum=0, exclusive_minimum=True)
        for name in ("last_step",):
            check_real(
                name, getattr(self, name), minimum=0, maximum=1,
                exclusive_minimum=True, exclusive_maximum=True,
            )  # fmt: skip

    def start(self, given: Given) -> State:
        zeros, none = ops.zeros_like(given.images), ops.zeros_like(given.eps)
        return {
            "change": zeros,
            "squares": zeros,
            "smoothed": zeros,
            "length": none,
            "first_success": none + 0.5 * self.steps,
            **_MULTIPLIERS.start(given),
        }

    def lowered(self, view: View, given: Given, state: State) -> Tensor:
        values = constraints(view.margins, given)
        wanted = ops.stop_gradient(wanted_pixels(values, given))
        penalties = penalty(values, state["penalties"], state["multipliers"])
        return ops.sum(wanted * penalties, axis=(1, 2))

    def step(self, given: Given, state: State, seen: Seen) -> State:
        first_success = success_at(seen, state, self.steps)
        gradient = seen.gradient + unit(seen.change)  # The norm's own gradient
        # Over its size at first: what the authors' first mean square of 1 stands for.
        squares = _SMOOTHING * state["squares"] + (1 - _SMOOTHING) * ops.square(gradient)
        seen_weight = 1.0 - _SMOOTHING ** (ops.cast(seen.step, "float32") + 1.0)
        roots = ops.sqrt(squares / seen_weight)
        floor = ops.max(roots, axis=(1, 2, 3), keepdims=True) * 1e-3 + 2.0**-60
        direction = gradient / (roots + floor)
        length = ops.where(
            seen.step > 0,
            state["length"],
            self.first_step * given.expected / ops.maximum(norms_above(direction), 2.0**-60),
        )
        factor = length * decay(seen.step, first_success, self.steps, self.last_step)
        smoothed = _SMOOTHING * state["smoothed"] + (1 - _SMOOTHING) * direction
        smoothed = ops.where(seen.step > 0, smoothed, direction)
        return {
            "change": seen.change - per_image(factor) * smoothed,
            "squares": squares,
            "smoothed": smoothed,
            "length": length,
            "first_success": first_success,
            **_MULTIPLIERS.step(given, state, seen, constraints(seen.margins, given)),
        }
