"""Adaptive segmentation mask attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.attack import Attack
from deel_seg.attacks.ball import norms_above, per_image
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import View

Tensor = Any


@dataclass(frozen=True, kw_only=True)
class ASMA(Attack):
    r"""Raises the logit of each open pixel's target, less the squared norm of the change.

    With a goal of `targeted` it is the attack of its authors. With labels it is untargeted: it
    lowers the logit of the label where that is still predicted. Given the labels, the published
    form would raise the logits of the labels, and mend mistakes.

    Steps are $\eta (g / G + 2 \lambda \delta)$, with $G$ the norm of the largest gradient so far,
    and grow with the share of pixels hit; those of the authors are in units of their network's
    logits.

    `attack(model, images, goal, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Has no part in it.
        step_size: Length of the first step, over the norm that is expected.
        growth: Length of a step once all pixels are hit, over that.
        penalty: $\lambda$, over the norm that is expected: the change stays below that over
            $2 \lambda$.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import ASMA
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> result = ASMA(steps=50)(lambda x: x, images, np.zeros((1, 1, 2), int), threshold=0.5)
    >>> 0.0707 < float(result.norms[0]) < 0.17
    True

    References:
        Ozbulak et al., Impact of Adversarial Examples on Deep Learning Models for Biomedical Image
        Segmentation, MICCAI 2019.
    """

    minimal = True

    steps: int = 500
    step_size: float = 0.01
    growth: float = 10.0
    penalty: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("step_size", self.step_size, minimum=0, exclusive_minimum=True)
        check_real("growth", self.growth, minimum=1)
        check_real("penalty", self.penalty, minimum=0)

    def start(self, given: Given) -> State:
        return {**super().start(given), "steepness": ops.zeros_like(given.eps)}

    def lowered(self, view: View, given: Given, state: State) -> Tensor:
        own = ops.one_hot(view.goal.classes, view.logits.shape[-1], dtype=view.logits.dtype)
        logits = view.goal.sign * ops.sum(own * view.logits, axis=-1)
        return ops.sum(view.open * logits, axis=(1, 2))

    def step(self, given: Given, state: State, seen: Seen) -> State:
        steepness = ops.maximum(state["steepness"], norms_above(seen.gradient))
        share = ops.cast(seen.hits, "float32") / given.counted
        length = self.step_size * given.expected * (1.0 + (self.growth - 1.0) * share)
        direction = seen.gradient / per_image(ops.maximum(steepness, 2.0**-60))
        direction = direction + 2.0 * self.penalty / given.expected * seen.change
        return {"change": seen.change - per_image(length) * direction, "steepness": steepness}
