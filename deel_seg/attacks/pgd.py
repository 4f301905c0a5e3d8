"""Projected gradient descent, and the losses for segmentation that it is known with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deel_seg._checks import check_real
from deel_seg.attacks.attack import LossAttack
from deel_seg.attacks.ball import per_image, project, unit
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import PixelLoss
from deel_seg.attacks.schedules import cosine

Tensor = Any


@dataclass(frozen=True, kw_only=True)
class PGD(LossAttack):
    """Projected gradient descent in l2: steps along the gradient, back into the ball.

    `attack(model, images, labels, eps=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Factor of the logits in the loss.
        loss: See `LossAttack`.
        step_size: Length of the first step, over the budget.
        last_step_size: Of the last one: they fall along half a cosine.
        random_start: Whether to start from a random point of the ball.

    Example:
    A network that moves every logit on its own: `f(x) = x`. Of two pixels with margins 0.1 and 0.4
    a budget of 0.1 buys the first.

    >>> import numpy as np
    >>> from deel_seg.attacks import PGD
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> result = PGD(steps=5)(lambda x: x, images, np.zeros((1, 1, 2), int), eps=0.1)
    >>> result.accuracy.tolist(), bool(result.norms[0] <= 0.1)
    ([0.5], True)

    References:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018.
    """

    step_size: float = 1.0
    last_step_size: float = 0.01
    random_start: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("step_size", self.step_size, minimum=0, exclusive_minimum=True)
        check_real("last_step_size", self.last_step_size, minimum=0, exclusive_minimum=True)

    @property
    def noisy(self) -> bool:  # type: ignore[override]
        return self.random_start

    def start(self, given: Given) -> State:
        state = super().start(given)
        if self.random_start:
            state["change"] = project(per_image(given.eps) * unit(given.noise), given.eps)
        return state

    def step(self, given: Given, state: State, seen: Seen) -> State:
        length = given.eps * cosine(seen.step, self.steps, self.step_size, self.last_step_size)
        change = seen.change - per_image(length) * unit(seen.gradient)
        return {"change": project(change, given.eps)}


@dataclass(frozen=True, kw_only=True)
class SegPGD(PGD):
    """PGD that looks at wrong pixels less at first, and half as much in the end.

    Arguments as `PGD`.

    References:
        Gu et al., SegPGD: An Effective and Efficient Adversarial Attack for Evaluating and Boosting
        Segmentation Robustness, ECCV 2022.
    """

    loss: str | PixelLoss = "segpgd"


@dataclass(frozen=True, kw_only=True)
class CosPGD(PGD):
    """PGD on the cross-entropy of each pixel times how right it still is.

    Arguments as `PGD`.

    References:
        Agnihotri et al., CosPGD: An Efficient White-Box Adversarial Attack for Pixel-Wise
        Prediction Tasks, ICML 2024.
    """

    loss: str | PixelLoss = "cospgd"
