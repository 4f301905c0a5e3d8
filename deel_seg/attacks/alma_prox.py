"""Augmented Lagrangian attack by proximal splitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg.attacks.augmented_lagrangian import Multipliers, PenaltyAttack
from deel_seg.attacks.ball import per_image
from deel_seg.attacks.contract import Given, Seen, State

Tensor = Any

_LEAST_SCALE = 0.1  # Of the constraints, once they are met all the time.
_SCALE_CHANGE = 0.02


@dataclass(frozen=True, kw_only=True)
class ALMAProx(PenaltyAttack):
    r"""Steps along a scaled gradient of the penalties, then the proximal step of the squared norm.

    The norm of the authors is l-inf. For $\lambda \|\delta\|_2^2$ in the metric $H$ of the scaled
    gradient the proximal step has a closed form, $\delta \mapsto H \delta / (H + 2 \lambda)$,
    clipped to the box.

    `attack(model, images, labels, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Has no part in it: margins are taken relative to their size.
        first_step: Length of the first step, over the norm that is expected.
        last_step: What is left of the length in the end.
        weight: Of the squared norm: how steep it is at the norm that is expected, over the first
            gradient's norm.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import ALMAProx
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> options = {"threshold": 0.5, "expected_norm": 0.1}
    >>> result = ALMAProx(steps=200)(lambda x: x, images, np.zeros((1, 1, 2), int), **options)
    >>> 0.0707 < float(result.norms[0]) < 0.08
    True

    References:
        Rony et al., Proximal Splitting Adversarial Attack for Semantic Segmentation, CVPR 2023.
    """

    multipliers = Multipliers(first=1.0, first_penalty=0.01, growth=2.0)

    weight: float = 0.1

    def step(self, given: Given, state: State, seen: Seen) -> State:
        squares, metric = self.scaled(seen.gradient, state, seen)
        direction = seen.gradient / metric
        factor, carried = self.length(direction, given, state, seen)
        weight = self.norm_weight(given, state, seen)
        # At the norm that is expected the squared norm, so weighed, is as steep as the norm.
        squared = weight / (2.0 * given.expected)
        moved = seen.change - per_image(factor) * direction
        moved = proximal(moved, metric, per_image(factor * squared))
        change = ops.where(seen.reached, 1.0 / (1.0 + _SCALE_CHANGE), 1.0 / (1.0 - _SCALE_CHANGE))
        return {
            "change": moved,
            "squares": squares,
            "weight": weight,
            "scale": ops.clip(state["scale"] * change, _LEAST_SCALE, 1.0),
            **carried,
            **self.multipliers.step(given, state, seen, self.values(seen.margins, given, state)),
        }


def proximal(changes: Tensor, metric: Tensor, weight: Tensor) -> Tensor:
    r"""The $\delta$ of the least $w \|\delta\|_2^2 + \frac12 \sum_i H_i (\delta_i - c_i)^2$.

    Args:
        changes: c, `(batch, H, W, channels)`.
        metric: H, of the same shape, above 0.
        weight: w, `(batch, 1, 1, 1)`.
    """
    return metric * changes / (metric + 2.0 * weight)
