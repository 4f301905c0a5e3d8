r"""What attacks raise at each pixel, with $z$ the logits, $y$ the class and $m$ its margin.

Each of them grows as a pixel comes nearer to what is wanted of it; for pixels that are to become
their class it is the negative of what is written here, of cross-entropies and divergences. Open
pixels are those that are not yet what is wanted.

References:
    SegPGD: Gu et al., SegPGD: An Effective and Efficient Adversarial Attack for Evaluating and
    Boosting Segmentation Robustness, ECCV 2022. CosPGD: Agnihotri et al., CosPGD: An Efficient
    White-Box Adversarial Attack for Pixel-Wise Prediction Tasks, ICML 2024. Masked cross-entropy
    and Jensen-Shannon: Croce et al., Towards Reliable Evaluation and Fast Training of Robust
    Semantic Segmentation Models, ECCV 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.goal import Goal

Tensor = Any


class View(NamedTuple):
    """What a loss sees of a step."""

    logits: Tensor  # (batch, H, W, classes), times the temperature
    margins: Tensor  # (batch, H, W), of the logits as they are
    open: Tensor  # (batch, H, W), float32: 1 at open pixels
    goal: Goal
    progress: Tensor  # scalar: share of the steps that are done
    clean_margins: Tensor  # (batch, H, W), of the images as they were
    frontier: Tensor  # (batch,), of `frontier`


PixelLoss = Callable[[View], Tensor]


def crossentropy(view: View) -> Tensor:
    """Cross-entropy of the class."""
    own = ops.one_hot(view.goal.classes, view.logits.shape[-1], dtype=view.logits.dtype)
    return -view.goal.sign * ops.sum(own * ops.log_softmax(view.logits, axis=-1), axis=-1)


def masked_crossentropy(view: View) -> Tensor:
    """Cross-entropy at open pixels."""
    return view.open * crossentropy(view)


def segpgd(view: View) -> Tensor:
    r"""Cross-entropy, times $1 - \lambda$ at open pixels and $\lambda$ at others.

    $\lambda$ rises from 0 to 1/2 on the way.
    """
    share = 0.5 * view.progress
    return (view.open * (1.0 - share) + (1.0 - view.open) * share) * crossentropy(view)


def cospgd(view: View) -> Tensor:
    """Cross-entropy, times the cosine of probabilities and the class (or what is left to 1)."""
    probabilities = ops.softmax(view.logits, axis=-1)
    own = ops.one_hot(view.goal.classes, view.logits.shape[-1], dtype=view.logits.dtype)
    lengths = ops.sqrt(ops.sum(ops.square(probabilities), axis=-1))
    cosine = ops.sum(own * probabilities, axis=-1) / lengths
    weights = ops.where(view.goal.sign > 0, cosine, 1.0 - cosine)
    return ops.stop_gradient(weights) * crossentropy(view)


def jensen_shannon(view: View) -> Tensor:
    """Jensen-Shannon divergence of the probabilities and the class: no more than log 2."""
    logs = ops.log_softmax(view.logits, axis=-1)
    probabilities = ops.exp(logs)
    own = ops.one_hot(view.goal.classes, view.logits.shape[-1], dtype=view.logits.dtype)
    log_mean = ops.log(ops.maximum(0.5 * (probabilities + own), 2.0**-100))
    of_class = -ops.sum(own * log_mean, axis=-1)
    of_network = ops.sum(probabilities * (logs - log_mean), axis=-1)
    return view.goal.sign * 0.5 * (of_class + of_network)


def margin(view: View) -> Tensor:
    """The negative margin of open pixels."""
    return -view.open * view.margins


class Boundary:
    r"""The negative margin of open pixels, times $e^{-m / c}$: those near the boundary count.

    They are the pixels that the knapsack of the certificate buys first. c is a share of the
    frontier, the largest margin that a budget on its own still buys if the logits of all pixels
    could be moved apart (see `frontier`), or of the median margin where there is no budget.

    Args:
        share: c over the frontier.
        last: The same at the last step, for a scale that changes by equal factors on the way.
    """

    def __init__(self, share: float = 0.06, last: float | None = None) -> None:
        self.share = check_real("share", share, minimum=0, exclusive_minimum=True)
        last = share if last is None else last
        self.last = check_real("last", last, minimum=0, exclusive_minimum=True)

    def __call__(self, view: View) -> Tensor:
        share = self.share * ops.power(self.last / self.share, view.progress)
        scale = ops.maximum(share * view.frontier, 2.0**-40)
        weights = ops.exp(-ops.maximum(view.margins, 0.0) / scale[:, None, None])
        return -ops.stop_gradient(view.open * weights) * view.margins

    def __repr__(self) -> str:
        return f"Boundary({self.share}, {self.last})"


def squared_hinge(view: View) -> Tensor:
    """Half of the squared margin, negative, at open pixels within the frontier.

    Its gradient is what each pixel still has to be moved by. On a network that moves the logits of
    all pixels apart it reaches the certificate; on others it is weak.
    """
    inside = ops.cast(view.clean_margins <= view.frontier[:, None, None], "float32")
    return -0.5 * view.open * inside * ops.square(view.margins)


def frontier(margins: Tensor, mask: Tensor, eps: Tensor) -> Tensor:
    r"""Largest clean margin of the cheapest pixels that $\sum m^2 / 2 \le \epsilon^2$ pays for.

    Args:
        margins: `(batch, H, W)`, of the images as they are.
        mask: `(batch, H, W)`, bool.
        eps: `(batch,)`; where it is inf the median of all margins that count is returned.
    """
    flat = ops.where(mask, ops.maximum(margins, 0.0), math.inf)
    ordered = ops.sort(ops.reshape(flat, (ops.shape(margins)[0], -1)), axis=-1)
    counted = ops.sum(ops.cast(ordered < math.inf, "int32"), axis=-1)
    costs = ops.cumsum(ops.where(ordered < math.inf, 0.5 * ops.square(ordered), 0.0), axis=-1)
    paid = ops.sum(ops.cast(costs <= ops.square(eps)[:, None], "int32"), axis=-1)
    last = ops.where(eps < math.inf, ops.minimum(paid, counted), (counted + 1) // 2) - 1
    found = ops.take_along_axis(ordered, ops.maximum(last, 0)[:, None], axis=-1)[:, 0]
    return ops.where(found < math.inf, found, 0.0)


def total(loss: PixelLoss, view: View) -> Tensor:
    """Sum of a loss over the pixels that count, `(batch,)`."""
    return ops.sum(ops.where(view.goal.mask, loss(view), 0.0), axis=(1, 2))


LOSSES: dict[str, PixelLoss] = {
    "crossentropy": crossentropy,
    "masked_crossentropy": masked_crossentropy,
    "segpgd": segpgd,
    "cospgd": cospgd,
    "jensen_shannon": jensen_shannon,
    "margin": margin,
    "boundary": Boundary(),
    "squared_hinge": squared_hinge,
}
