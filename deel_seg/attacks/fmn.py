"""Fast minimum-norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg.attacks.attack import LossAttack
from deel_seg.attacks.ball import norms_above, per_image, project, unit
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import Boundary, PixelLoss
from deel_seg.attacks.schedules import cosine

Tensor = Any


@dataclass(frozen=True, kw_only=True)
class FMN(LossAttack):
    """Steps along the gradient within a ball whose radius is found on the way.

    Until the attack succeeds the radius is what the loss, taken to be linear, would need to vanish;
    then it shrinks below the best norm where it succeeds, and grows where it does not.

    `attack(model, images, labels, threshold=...)`; see `Attack.__call__`.

    Args:
        steps: Gradients to take of each image.
        temperature: Factor of the logits in the loss.
        loss: See `LossAttack`. The authors take the margin of all pixels alike. It has to fall as
            steadily as that, for the first radius is where it would vanish if it were linear.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import FMN
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> result = FMN(steps=100)(lambda x: x, images, np.zeros((1, 1, 2), int), threshold=0.5)
    >>> 0.0707 < float(result.norms[0]) < 0.1
    True

    References:
        Pintor et al., Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints,
        NeurIPS 2021.
    """

    minimal = True

    loss: str | PixelLoss = Boundary(0.25)  # noqa: RUF009

    def start(self, given: Given) -> State:
        infinite = ops.full_like(given.eps, math.inf)
        return {**super().start(given), "radius": infinite, "least": infinite}

    def step(self, given: Given, state: State, seen: Seen) -> State:
        least = ops.where(seen.reached, ops.minimum(state["least"], seen.norms), state["least"])
        share = cosine(seen.step, self.steps, 0.05, 0.001)
        steepness = norms_above(seen.gradient)
        linear = seen.norms + ops.abs(seen.loss) / ops.maximum(steepness, 2.0**-60)
        widest = ops.cast(ops.size(given.images[0]), "float32") ** 0.5 * (given.upper - given.lower)
        radius = ops.where(
            seen.reached,
            ops.minimum(state["radius"] * (1.0 - share), least),
            ops.where(least < math.inf, state["radius"] * (1.0 + share), linear),
        )
        radius = ops.minimum(radius, widest)
        # Relative to the radius, where the authors' step is in pixel values.
        length = radius * cosine(seen.step, self.steps, 1.0, 0.01)
        moved = seen.change - per_image(length) * unit(seen.gradient)
        return {"change": project(moved, radius), "radius": radius, "least": least}
