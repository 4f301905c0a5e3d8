"""PGD that finds its step lengths itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.attack import LossAttack
from deel_seg.attacks.ball import per_image, project, unit
from deel_seg.attacks.contract import Given, Seen, State

Tensor = Any

_MOMENTUM = 0.75
_IMPROVED = 0.75  # Share of the steps since the last check that should have lowered the loss.


@dataclass(frozen=True, kw_only=True)
class APGD(LossAttack):
    """Auto-PGD in l2: PGD with momentum, which halves its steps where they stop helping.

    At some steps it looks back: where few of the steps since lowered the loss, or the best loss is
    still that of the last time, the step is halved and the search goes on from the best point.

    Args:
        steps: Gradients to take of each image.
        temperature: Factor of the logits in the loss.
        loss: See `LossAttack`.
        step_size: Length of the first steps, over the budget.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import APGD
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> APGD(steps=10)(lambda x: x, images, np.zeros((1, 1, 2), int), eps=0.1).accuracy.tolist()
    [0.5]

    References:
        Croce, Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
        Parameter-Free Attacks, ICML 2020.
    """

    step_size: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("step_size", self.step_size, minimum=0, exclusive_minimum=True)

    def start(self, given: Given) -> State:
        zeros, none = ops.zeros_like(given.images), ops.zeros_like(given.eps)
        return {
            "change": zeros,
            "before": zeros,
            "length": self.step_size * given.eps,
            "loss": none + math.inf,
            "lowered": none,
            "best_loss": none + math.inf,
            "best_change": zeros,
            "best_gradient": zeros,
            "checked_loss": none + math.inf,
            "halved": none,
        }

    def step(self, given: Given, state: State, seen: Seen) -> State:
        lowered = state["lowered"] + ops.cast(seen.loss < state["loss"], "float32")
        better = seen.loss < state["best_loss"]
        best_loss = ops.where(better, seen.loss, state["best_loss"])
        best_change = _chosen(better, seen.change, state["best_change"])
        best_gradient = _chosen(better, seen.gradient, state["best_gradient"])

        period = ops.take(ops.convert_to_tensor(_periods(self.steps)), seen.step)
        stuck = ops.logical_and(ops.equal(state["halved"], 0.0), best_loss >= state["checked_loss"])
        halve = ops.logical_and(period > 0, ops.logical_or(lowered < _IMPROVED * period, stuck))
        length = ops.where(halve, 0.5 * state["length"], state["length"])
        change = _chosen(halve, best_change, seen.change)
        before = _chosen(halve, best_change, state["before"])

        gradient = _chosen(halve, best_gradient, seen.gradient)
        moved = project(change - per_image(length) * unit(gradient), given.eps)
        mixed = change + _MOMENTUM * (moved - change) + (1 - _MOMENTUM) * (change - before)
        return {
            "change": ops.where(seen.step > 0, project(mixed, given.eps), moved),
            "before": change,
            "length": length,
            "loss": seen.loss,
            "lowered": ops.where(period > 0, 0.0, lowered),
            "best_loss": best_loss,
            "best_change": best_change,
            "best_gradient": best_gradient,
            "checked_loss": ops.where(period > 0, best_loss, state["checked_loss"]),
            "halved": ops.where(period > 0, ops.cast(halve, "float32"), state["halved"]),
        }


def _chosen(condition: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return ops.where(condition[:, None, None, None], new, old)


def _periods(steps: int) -> np.ndarray:
    """At the steps that look back, how many there were since the last; 0 at others."""
    periods = np.zeros(steps, "float32")
    share, before = 0.22, 0.0
    while share < 1.0:
        step = math.ceil(share * steps)
        if step < steps:
            periods[step] = step - math.ceil(before * steps)
        share, before = share + max(share - before - 0.03, 0.06), share
    return periods
