r"""How rounding spreads through one step of a network, in l2 over a whole image.

A step computes $f(x) + t$, where $f$ is positively homogeneous, and linear but for selecting among
its inputs. With $\|f(x)\| \le g(\|x\|)$ and $\|f(x) - f(y)\| \le g(\|x - y\|)$, and $a$ in the
place of $g$ for the same $f$ made of absolute values, a norm of at most $N$ and an error of at most
$E$ become

$$N' = g(N) + \|t\|, \qquad E' = g(E) + \gamma \, (a(N + E) + \|t\|)$$

since the computed inputs have a norm of at most $N + E$, and every number in a sum meets the same
few roundings, $\gamma$ in total.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from deel_seg.lipschitz.arithmetic import Arithmetic

Gain = Callable[[Sequence[float]], float]

# What underflow may add: results below 2^-126 may become zero, and so may operands. The constant is
# 2^26 times that, for factors in between that are not counted one by one.
_UNDERFLOW = 2.0**-100
_LARGEST = 2.0**60  # Far from overflow, for squares too.
_OWN_ROUNDING = 1.0 + 2.0**-36  # Of the float64 sums and products behind one step.


class Step(NamedTuple):
    """One step of a layer.

    Attributes:
        gain: g, from bounds of all inputs to one of the output.
        absolute: a, where it is not g.
        shift: l2 norm of t.
        stored: Operations that a number meets, in the layer's dtype.
        summed: Operations that it meets in sums of products, or in sums in float32.
        factors: Whether these products are of factors that hardware may shorten.
        weights: Numbers that the inputs are multiplied by.
    """

    gain: Gain
    absolute: Gain | None = None
    shift: float = 0.0
    stored: int = 0
    summed: int = 0
    factors: bool = False
    weights: float = 0.0


class Sizes(NamedTuple):
    """Bounds of the l2 norm of a tensor, if nothing was rounded, and of its l2 error."""

    norm: float
    error: float


def times(factor: float) -> Gain:
    """The gain of a step with one input."""
    return lambda values: factor * values[0]


def after(
    step: Step, incoming: Sequence[Sizes], arithmetic: Arithmetic, numbers: int
) -> Sizes | None:
    """Sizes after a step, or None where overflow cannot be ruled out.

    Args:
        step: The step.
        incoming: Sizes of its inputs.
        arithmetic: What it is computed in.
        numbers: Count of the numbers it reads and writes, for one image.
    """
    if step.factors:
        # Shortening the inputs moves them; the kernel's share is below, with the other roundings.
        incoming = [converted(sizes, arithmetic.factors) for sizes in incoming]
    computed = [sizes.norm + sizes.error for sizes in incoming]
    sums = (step.absolute or step.gain)(computed) + step.shift
    relative = arithmetic.relative_error(
        stored=step.stored, summed=step.summed, factors=int(step.factors)
    )
    operations = 1 + step.stored + step.summed
    lost = _UNDERFLOW * operations * (1.0 + numbers + step.weights) * (1.0 + sum(computed) + sums)
    gain_of_lost = 1.0 + step.gain([1.0] * len(incoming))
    norm = step.gain([sizes.norm for sizes in incoming]) + step.shift
    error = step.gain([sizes.error for sizes in incoming]) + relative * sums + lost * gain_of_lost
    # Also false for NaN, which weights may be.
    within = sums * (1.0 + relative) < _LARGEST and sum(computed) < _LARGEST
    return Sizes(norm * _OWN_ROUNDING, error * _OWN_ROUNDING) if within else None


def converted(sizes: Sizes, relative: float) -> Sizes:
    """Sizes after every number was rounded by at most that share of itself."""
    error = sizes.error + relative * (sizes.norm + sizes.error)
    return Sizes(sizes.norm, error * _OWN_ROUNDING)
