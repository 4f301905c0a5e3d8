"""Augmented Lagrangian attack by proximal splitting."""

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
from deel_seg.attacks.ball import norms_above, per_image
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import View

Tensor = Any

_MULTIPLIERS = Multipliers(first=1.0, first_penalty=0.01, growth=2.0)
_SMOOTHING = 0.8  # Of squared gradients.
_LEAST_SCALE = 0.1  # Of the constraints, once they are met all the time.
_SCALE_CHANGE = 0.02


@dataclass(frozen=True, kw_only=True)
class ALMAProx(Attack):
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
        weight: Of the squared norm, relative to where it balances the first gradient.

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

    minimal = True

    steps: int = 500
    first_step: float = 1.0
    last_step: float = 0.1
    weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("first_step", self.first_step, minimum=0, exclusive_minimum=True)
        check_real("weight", self.weight, minimum=0, exclusive_minimum=True)
        check_real(
            "last_step", self.last_step, minimum=0, maximum=1,
            exclusive_minimum=True, exclusive_maximum=True,
        )  # fmt: skip

    def start(self, given: Given) -> State:
        zeros, none = ops.zeros_like(given.images), ops.zeros_like(given.eps)
        return {
            "change": zeros,
            "squares": zeros,
            "length": none,
            "weight": none,
            "scale": none + 1.0,
            "first_success": none + 0.5 * self.steps,
            **_MULTIPLIERS.start(given),
        }

    def lowered(self, view: View, given: Given, state: State) -> Tensor:
        values = state["scale"][:, None, None] * constraints(view.margins, given)
        wanted = ops.stop_gradient(wanted_pixels(values, given))
        penalties = penalty(values, state["penalties"], state["multipliers"])
        return ops.sum(wanted * penalties, axis=(1, 2))

    def step(self, given: Given, state: State, seen: Seen) -> State:
        first_success = success_at(seen, state, self.steps)
        squares = _SMOOTHING * state["squares"] + (1 - _SMOOTHING) * ops.square(seen.gradient)
        seen_weight = 1.0 - _SMOOTHING ** (ops.cast(seen.step, "float32") + 1.0)
        roots = ops.sqrt(squares / seen_weight)
        metric = roots + ops.max(roots, axis=(1, 2, 3), keepdims=True) * 1e-3 + 2.0**-60
        direction = seen.gradient / metric
        first = ops.equal(seen.step, 0)
        length = ops.where(
            first,
            self.first_step * given.expected / ops.maximum(norms_above(direction), 2.0**-60),
            state["length"],
        )
        # At the norm that is expected, twice the weight times the norm is the gradient's.
        balanced = self.weight * norms_above(seen.gradient) / (2.0 * given.expected)
        weight = ops.where(first, balanced, state["weight"])
        factor = length * decay(seen.step, first_success, self.steps, self.last_step)
        moved = seen.change - per_image(factor) * direction
        moved = metric * moved / (metric + 2.0 * per_image(factor * weight))
        change = ops.where(seen.reached, 1.0 / (1.0 + _SCALE_CHANGE), 1.0 / (1.0 - _SCALE_CHANGE))
        values = state["scale"][:, None, None] * constraints(seen.margins, given)
        return {
            "change": moved,
            "squares": squares,
            "length": length,
            "weight": weight,
            "scale": ops.clip(state["scale"] * change, _LEAST_SCALE, 1.0),
            "first_success": first_success,
            **_MULTIPLIERS.step(given, state, seen, values),
        }
