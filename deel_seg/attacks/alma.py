"""Augmented Lagrangian attack."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from deel_seg.attacks.augmented_lagrangian import Multipliers, PenaltyAttack
from deel_seg.attacks.ball import per_image, unit
from deel_seg.attacks.contract import Given, Seen, State

_SMOOTHING = 0.8  # Of steps.


@dataclass(frozen=True, kw_only=True)
class ALMA(PenaltyAttack):
    """Lowers the norm and, for each pixel, a penalty whose weight follows how far it is off.

    Gradients are divided by the root of their mean squares, and steps smoothed. The first one is
    `first_step` long, and they become shorter after the first success.

    `attack(model, images, labels, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Has no part in it: margins are taken relative to their size.
        first_step: Length of the first step, over the norm that is expected.
        last_step: What is left of the length in the end.
        weight: Of the norm, over the first gradient's norm.

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

    multipliers = Multipliers(first=1e-4, first_penalty=1.0, growth=1.2)

    def start(self, given: Given) -> State:
        return {**super().start(given), "smoothed": ops.zeros_like(given.images)}

    def step(self, given: Given, state: State, seen: Seen) -> State:
        weight = self.norm_weight(given, state, seen)
        gradient = seen.gradient + per_image(weight) * unit(seen.change)
        squares, metric = self.scaled(gradient, state, seen)
        direction = gradient / metric
        factor, carried = self.length(direction, given, state, seen)
        smoothed = _SMOOTHING * state["smoothed"] + (1 - _SMOOTHING) * direction
        smoothed = ops.where(seen.step > 0, smoothed, direction)
        return {
            "change": seen.change - per_image(factor) * smoothed,
            "squares": squares,
            "smoothed": smoothed,
            "scale": state["scale"],
            "weight": weight,
            **carried,
            **self.multipliers.step(given, state, seen, self.values(seen.margins, given, state)),
        }
