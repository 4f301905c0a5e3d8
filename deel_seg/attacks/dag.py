"""Dense adversary generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.attack import LossAttack
from deel_seg.attacks.ball import per_image, unit
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import PixelLoss

Tensor = Any


@dataclass(frozen=True, kw_only=True)
class DAG(LossAttack):
    """Steps of one length against the margins of open pixels, until enough of them are hit.

    `attack(model, images, labels, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Most gradients to take of each image.
        temperature: Factor of the logits in the loss.
        loss: See `LossAttack`.
        step_size: Length of a step, over the norm that is expected.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import DAG
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> options = {"threshold": 0.5, "expected_norm": 0.4}
    >>> result = DAG()(lambda x: x, images, np.zeros((1, 1, 2), int), **options)
    >>> 0.0707 < float(result.norms[0]) < 0.17
    True

    References:
        Xie et al., Adversarial Examples for Semantic Segmentation and Object Detection, ICCV 2017.
    """

    minimal = True

    steps: int = 200
    loss: str | PixelLoss = "margin"
    step_size: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("step_size", self.step_size, minimum=0, exclusive_minimum=True)

    def step(self, given: Given, state: State, seen: Seen) -> State:
        length = ops.where(seen.reached, 0.0, self.step_size * given.expected)
        return {"change": seen.change - per_image(length) * unit(seen.gradient)}
