"""The bound of a network that is proved from the weights it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from deel_seg.layers import LipschitzLayer
from deel_seg.lipschitz.deel_lip_rules import deel_lip_bound
from deel_seg.lipschitz.graph_walk import Rules, Shapes, walk
from deel_seg.lipschitz.keras_rules import keras_bound
from deel_seg.lipschitz.weight_rules import weights_bound

_ROUNDING = 1.0 + 2.0**-44  # Of the few float64 operations of a rule, over up to a hundred inputs.


def raised(bound: float, layer: Any, incoming: Sequence[float]) -> float:
    """A bound that rounding has not brought down.

    What a layer without weights hands on as it came has not been computed, and so not rounded.
    """
    handed_on = len(incoming) == 1 and bound == incoming[0] and not getattr(layer, "weights", ())
    return bound if handed_on else bound * _ROUNDING


def _own(layer: LipschitzLayer, incoming: Sequence[float]) -> float:
    return raised(layer.certified_bound(*incoming), layer, incoming)


def _with_rounding(
    rule: Callable[[Any, Sequence[float], Shapes], float | None],
) -> Callable[[Any, Sequence[float], Shapes], float | None]:
    def bound_of(layer: Any, incoming: Sequence[float], shapes: Shapes) -> float | None:
        bound = rule(layer, incoming, shapes)
        return None if bound is None else raised(bound, layer, incoming)

    return bound_of


BY_WEIGHTS = Rules(
    own=_own,
    others=tuple(_with_rounding(rule) for rule in (weights_bound, keras_bound, deel_lip_bound)),
    rounding=_ROUNDING,
)


def certified_lipschitz_constant(model: keras.Model) -> float:
    """Proved upper bound of the l2 Lipschitz constant at inference, from the actual weights.

    `lipschitz_bound` tells what a network's design intends; this looks at the kernels that
    inference uses. Each has its norm bounded from above, in float64 and with rounding accounted
    for (`deel_seg.norms`): for every image size, so that the bound is one of the model and not of
    an image. A kernel that training, rounding or an editor has moved away from orthogonal shows
    here by as much as its norm has grown.

    Ordinary networks have a constant too, if a large one: convolutions, transposed, depthwise and
    separable ones, dense layers and resizing to a known size are bounded by their weights, beside
    all that `lipschitz_bound` knows.

    Norms are kept, by the bytes of a kernel: what has not changed since the last call costs next to
    nothing. A bound is about the exact function of the weights; what computing it rounds is the
    matter of `logit_tolerance`.

    Args:
        model: Functional (or sequential, built) Keras model.

    Returns:
        The bound, as a float. Within some 1e-4 of the product of the true norms where the layers
            are orthogonal; ordinary convolutions add about 1 % each.

    Raises:
        UnknownLipschitzBound: If a layer has no known bound; the message names it.
        ValueError: If the model is no functional graph, or has weights that are not finite.

    Example:
    A convolution that averages two neighbours and doubles the result.

    >>> import keras
    >>> from deel_seg.lipschitz import certified_lipschitz_constant
    >>> inputs = keras.Input((None, None, 1))
    >>> layer = keras.layers.Conv2D(1, (1, 2), kernel_initializer="ones")
    >>> bound = certified_lipschitz_constant(keras.Model(inputs, layer(inputs)))
    >>> 2.0 <= bound < 2.02
    True

    References:
        `deel_seg.norms.convolution_norm` for the bounds of kernels.
    """
    return walk(model, BY_WEIGHTS)
