"""Decoupled direction and norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.attack import LossAttack
from deel_seg.attacks.ball import per_image, unit
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import PixelLoss
from deel_seg.attacks.schedules import cosine

Tensor = Any


@dataclass(frozen=True, kw_only=True)
class DDN(LossAttack):
    """Steps along the gradient on a sphere, which shrinks where it succeeds and grows where not.

    The first sphere has the norm that is expected.

    `attack(model, images, labels, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Factor of the logits in the loss.
        loss: See `LossAttack`. The authors take the cross-entropy, which spends what it has on all
            pixels alike, where only as many as the threshold asks for have to be hit.
        norm_change: Share by which it shrinks or grows.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import DDN
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> options = {"threshold": 0.5, "expected_norm": 0.1}
    >>> result = DDN(steps=100)(lambda x: x, images, np.zeros((1, 1, 2), int), **options)
    >>> 0.0707 < float(result.norms[0]) < 0.1
    True

    References:
        Rony et al., Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial
        Attacks and Defenses, CVPR 2019.
    """

    minimal = True
    noisy = True

    loss: str | PixelLoss = "boundary"
    norm_change: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real(
            "norm_change", self.norm_change, minimum=0, maximum=1,
            exclusive_minimum=True, exclusive_maximum=True,
        )  # fmt: skip

    def start(self, given: Given) -> State:
        return {**super().start(given), "radius": given.expected + ops.zeros_like(given.eps)}

    def step(self, given: Given, state: State, seen: Seen) -> State:
        # Relative to the radius, where the authors' is in pixel values.
        length = state["radius"] * cosine(seen.step, self.steps, 1.0, 0.01)
        # Where the loss is flat, any direction is better than none.
        flat = ops.all(ops.equal(seen.gradient, 0.0), axis=(1, 2, 3), keepdims=True)
        direction = unit(ops.where(flat, given.noise, seen.gradient))
        moved = seen.change - per_image(length) * direction
        factor = ops.where(seen.reached, 1.0 - self.norm_change, 1.0 + self.norm_change)
        widest = ops.cast(ops.size(given.images[0]), "float32") ** 0.5 * (given.upper - given.lower)
        radius = ops.minimum(state["radius"] * factor, widest)
        return {"change": per_image(radius) * unit(moved), "radius": radius}
