r"""Penalties with a multiplier for each pixel, as the attacks of the ALMA family use them.

A pixel's constraint is its margin over the mean size of the image's clean margins: at most 0 once
it is what is wanted of it. The authors divide by differences of logits, which needs three classes,
and more than one sign of a binary network. The norm is weighed relative to the first gradient; the
authors weigh it with 1, and on a Lipschitz network multipliers take hundreds of steps to come down
to that.

References:
    Rony et al., Augmented Lagrangian Adversarial Attacks, ICCV 2021. Rony et al., Proximal
    Splitting Adversarial Attack for Semantic Segmentation, CVPR 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from keras import ops

from deel_seg._checks import check_real
from deel_seg.attacks.attack import Attack
from deel_seg.attacks.ball import norms_above
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.attacks.pixel_losses import View

Tensor = Any

_SMOOTHING = 0.8  # Of squared gradients.
_TOLERANCE = 0.01  # How far beyond the boundary a pixel is to be, or the last ones hover about it.
_ROUNDED = 2.0**-20  # Relative, of constraints.


class Multipliers(NamedTuple):
    r"""How multipliers follow the constraints.

    Args:
        first: Their first value.
        first_penalty: First value of the penalties $\rho$.
        growth: Factor of the penalty of a pixel that is not hit and does not come nearer.
        nearer: Share of a constraint that is nearer.
        checked: Steps from one look at that to the next.
        smoothing: Share of a multiplier that stays.
    """

    first: float
    first_penalty: float
    growth: float
    nearer: float = 0.95
    checked: int = 10
    smoothing: float = 0.8

    def start(self, given: Given) -> State:
        """The part of a state that is about them."""
        zeros = ops.zeros_like(given.clean_margins)
        return {
            "multipliers": zeros + self.first,
            "penalties": zeros + self.first_penalty,
            "hit_since": zeros,
            "constraints_before": zeros + math.inf,
        }

    def step(self, given: Given, state: State, seen: Seen, values: Tensor) -> State:
        """The same after a step, with the constraints as they were seen there."""
        hit = ops.maximum(state["hit_since"], ops.cast(values <= 0, "float32"))
        worse = values > self.nearer * state["constraints_before"]
        look = ops.equal(ops.mod(seen.step + 1, self.checked), 0)
        raised = ops.logical_and(look, ops.logical_and(ops.equal(hit, 0.0), worse))
        penalties = ops.where(raised, self.growth * state["penalties"], state["penalties"])
        wanted = slope(values, penalties, state["multipliers"])
        multipliers = self.smoothing * state["multipliers"] + (1.0 - self.smoothing) * wanted
        return {
            "multipliers": ops.clip(multipliers, 1e-12, 1.0),
            "penalties": ops.minimum(penalties, 2.0**40),
            "hit_since": ops.where(look, 0.0, hit),
            "constraints_before": ops.where(look, values, state["constraints_before"]),
        }


def constraints(margins: Tensor, given: Given) -> Tensor:
    """Margins over the mean size of the clean ones, and a tolerance, `(batch, H, W)`."""
    mask = ops.cast(given.goal.mask, "float32")
    sizes = ops.sum(mask * ops.abs(given.clean_margins), axis=(1, 2)) / given.counted
    return margins / ops.maximum(sizes, 2.0**-60)[:, None, None] + _TOLERANCE


def penalty(values: Tensor, penalties: Tensor, multipliers: Tensor) -> Tensor:
    r"""$\mu y + \mu \rho y^2 + \rho^2 y^3 / 6$ above 0, $\mu y / (1 - \max(\rho, 1) y)$ below."""
    above, below = ops.maximum(values, 0.0), ops.minimum(values, 0.0)
    cubic = multipliers * penalties * above**2 + penalties**2 * above**3 / 6.0
    least = ops.maximum(penalties, 1.0)
    return multipliers * above + cubic + multipliers * below / (1.0 - least * below)


def slope(values: Tensor, penalties: Tensor, multipliers: Tensor) -> Tensor:
    """Derivative of `penalty` by the values."""
    above, below = ops.maximum(values, 0.0), ops.minimum(values, 0.0)
    growing = 2.0 * multipliers * penalties * above + 0.5 * penalties**2 * above**2
    least = ops.maximum(penalties, 1.0)
    return growing + multipliers / ops.square(1.0 - least * below)


def wanted_pixels(values: Tensor, given: Given) -> Tensor:
    """The pixels that the search is for, float32: as many as have to be hit, those nearest to it.

    The authors leave the others out step by step, for they want 99 % of the pixels. Where half of
    them are wanted, most of the way would go into pixels that are not.
    """
    inside = values <= wanted_limit(values, given)
    return ops.cast(ops.logical_and(given.goal.mask, inside), "float32")


def wanted_limit(values: Tensor, given: Given) -> Tensor:
    """What the values of wanted pixels are at most, `(batch, 1, 1)`.

    A little more than the last one's: where a compiler computes the values anew to compare them, it
    may round otherwise, and one pixel too few would be wanted at every step.
    """
    mask = given.goal.mask
    flat = ops.reshape(ops.where(mask, values, -math.inf), (ops.shape(values)[0], -1))
    ordered = -ops.sort(-flat, axis=-1)
    spared = given.counted - ops.cast(given.needed, "float32")
    # Where none has to be hit there is still a last one.
    number = ops.minimum(ops.cast(spared, "int32"), ops.shape(flat)[1] - 1)
    limit = ops.take_along_axis(ordered, number[:, None], axis=-1)[:, :, None]
    return limit + _ROUNDED * ops.clip(ops.abs(limit), 1.0, 2.0**60)


@dataclass(frozen=True, kw_only=True)
class PenaltyAttack(Attack):
    """An attack of minimal norm that lowers the penalties of the pixels it is for.

    Args:
        steps: Gradients to take of each image.
        temperature: Has no part in it: margins are taken relative to their size.
        first_step: Length of the first step, over the norm that is expected.
        last_step: What is left of the length in the end.
        weight: Of the norm, over the first gradient's norm.
    """

    minimal = True
    multipliers = Multipliers(first=1.0, first_penalty=1.0, growth=2.0)

    steps: int = 500
    first_step: float = 0.1
    last_step: float = 0.1
    weight: float = 0.5

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
            "first_success": none + 0.5 * self.steps,
            "scale": none + 1.0,
            "weight": none,
            **self.multipliers.start(given),
        }

    def lowered(self, view: View, given: Given, state: State) -> Tensor:
        values = self.values(view.margins, given, state)
        wanted = ops.stop_gradient(wanted_pixels(values, given))
        penalties = penalty(values, state["penalties"], state["multipliers"])
        return ops.sum(wanted * penalties, axis=(1, 2))

    def values(self, margins: Tensor, given: Given, state: State) -> Tensor:
        """The constraints, times the scale that they have at the moment."""
        return state["scale"][:, None, None] * constraints(margins, given)

    def norm_weight(self, given: Given, state: State, seen: Seen) -> Tensor:
        """Weight of the norm, `(batch,)`."""
        first = self.weight * norms_above(seen.gradient)
        return ops.where(seen.step > 0, state["weight"], first)

    def scaled(self, gradient: Tensor, state: State, seen: Seen) -> tuple[Tensor, Tensor]:
        """Mean squares of the gradient, and the metric of their roots."""
        squares = _SMOOTHING * state["squares"] + (1 - _SMOOTHING) * ops.square(gradient)
        weight = 1.0 - _SMOOTHING ** (ops.cast(seen.step, "float32") + 1.0)
        roots = ops.sqrt(squares / weight)
        return squares, roots + ops.max(roots, axis=(1, 2, 3), keepdims=True) * 1e-3 + 2.0**-60

    def length(
        self, direction: Tensor, given: Given, state: State, seen: Seen
    ) -> tuple[Tensor, State]:
        """Factor of a direction at this step, and what is to be carried on for it."""
        first = self.first_step * given.expected / ops.maximum(norms_above(direction), 2.0**-60)
        length = ops.where(seen.step > 0, state["length"], first)
        # Half of all steps while there is no success.
        none_yet = ops.equal(state["first_success"], 0.5 * self.steps)
        now = ops.minimum(ops.cast(seen.step, "float32"), 0.5 * self.steps)
        success = ops.where(ops.logical_and(seen.reached, none_yet), now, state["first_success"])
        factor = length * decay(seen.step, success, self.steps, self.last_step)
        return factor, {"length": length, "first_success": success}


def decay(step: Tensor, first_success: Tensor, steps: int, last: float) -> Tensor:
    """From 1 at an image's first success to `last`, hyperbolically, `(batch,)`."""
    left = ops.maximum(steps - first_success, 1.0)
    scale = last / (1.0 - last) * left
    return scale / (ops.maximum(ops.cast(step, "float32") - first_success, 0.0) + scale)
