"""A table of a network's Lipschitz constant, a row for each layer."""

from __future__ import annotations

import math
from typing import Any

import keras

from deel_seg.lipschitz.audit_rounding import logit_rounding
from deel_seg.lipschitz.audit_table import Audit, AuditRow
from deel_seg.lipschitz.certified_bound import BY_WEIGHTS
from deel_seg.lipschitz.estimated_bound import estimate_lipschitz_constant
from deel_seg.lipschitz.graph_bound import BY_DESIGN
from deel_seg.lipschitz.graph_walk import (
    Rules,
    UnknownLipschitzBound,
    Visited,
    bound_by_rules,
    walk,
)
from deel_seg.lipschitz.weight_rules import used_kernels

# What a layer's norm may depend on beside its weights.
_PARAMETERS = (
    "filters", "units", "kernel_size", "strides", "padding", "dilation_rate", "groups",
    "depth_multiplier", "pool_size", "size", "height", "width", "interpolation", "factor",
    "k_coef_lip", "learned", "activation", "negative_slope", "momentum",
)  # fmt: skip
_TRIVIAL = [1, (1, 1), "linear", None]  # Values that are not worth telling.


def audit(
    model: keras.Model, images: Any = None, *, iterations: int = 20, verbose: int = 1
) -> Audit:
    """Bounds every layer of a network from its weights, and puts them beside its design.

    Each row holds a layer's own bound, for inputs of bound 1: by design, from its weights, and how
    tight the latter is. A layer whose weights have moved away from what they were designed to be
    has `drifted`, and stands out in the table. Below are the constants of the whole network, the
    lower estimate at some images if there are any, and a verdict; with images, also how far
    rounding moves a logit: measured there, and proved for images of their size and range.

    Args:
        model: Functional (or sequential, built) Keras model.
        images: `(count, height, width, channels)` for the lower estimate, which takes some passes
            through the network, and for the rounding of the logits; `None` leaves both out.
        iterations: Steps of the search behind the estimate.
        verbose: 1 shows progress: a large layer takes seconds.

    Returns:
        An `Audit`: prints as a table, and writes JSON and Markdown.

    Raises:
        UnknownLipschitzBound: If a layer has no bound at all; the message names it.
        ValueError: If the model is no functional graph, or has weights that are not finite, and for
            images as in `estimate_lipschitz_constant`.

    Example:
    >>> import keras
    >>> from deel_seg.layers import MaxMin, OrthogonalConv2D
    >>> from deel_seg.lipschitz import audit
    >>> inputs = keras.Input((None, None, 3))
    >>> x = MaxMin(name="act")(OrthogonalConv2D(8, 3, name="conv")(inputs))
    >>> result = audit(keras.Model(inputs, x), verbose=0)
    >>> [row.name for row in result.rows], result.by_design, result.holds
    (['conv', 'act'], 1.0, True)
    """
    seen = None
    if images is not None:
        # First: images that do not fit are told before long work, and not after it.
        seen = estimate_lipschitz_constant(model, images, iterations=iterations, verbose=verbose)
    layers = _layers_of(model)
    bar = keras.utils.Progbar(len(layers), verbose=verbose, unit_name="layer")
    rows = []
    for visited in layers:
        rows.append(_row(visited))
        bar.add(1)
    # All norms are known by now.
    certified = walk(model, BY_WEIGHTS)
    rounding = None if images is None else logit_rounding(model, images, verbose=verbose)
    return Audit(model.name, rows, _by_design(model), certified, seen, rounding)


def _layers_of(model: keras.Model) -> list[Visited]:
    """Each layer where the graph first comes to it."""
    found: dict[int, Visited] = {}
    any_bound = Rules(
        own=lambda layer, incoming: 1.0, others=(lambda layer, incoming, shapes: 1.0,)
    )
    walk(model, any_bound, lambda visited: found.setdefault(id(visited.layer), visited) and None)
    return list(found.values())


def _by_design(model: keras.Model) -> float | None:
    try:
        return walk(model, BY_DESIGN)
    except UnknownLipschitzBound:
        return None


def _row(visited: Visited) -> AuditRow:
    layer = visited.layer
    alone = [1.0] * len(visited.incoming)
    by_design, by_weights = (
        bound_by_rules(layer, alone, visited.shapes, rules)
        if visited.alone is None
        else visited.alone
        for rules in (BY_DESIGN, BY_WEIGHTS)
    )
    kernels = used_kernels(layer)
    below = math.prod(kernel.norm_below() for kernel in kernels)
    above = math.prod(kernel.norm_above() for kernel in kernels)
    return AuditRow(
        name="/".join((*visited.inside, layer.name)),
        type=type(layer).__name__,
        by_design=by_design,
        # A layer without a bound makes the walk after this fail, with the reason.
        by_weights=math.nan if by_weights is None else by_weights,
        tightness=above / below if kernels and below > 0 else None,
        parameters=_parameters(layer),
    )


def _parameters(layer: Any) -> dict[str, Any]:
    config = layer.get_config() if hasattr(layer, "get_config") else {}
    found = {}
    for name in _PARAMETERS:
        value = config.get(name)
        value = tuple(value) if isinstance(value, list) else value
        # True equals 1, but says something.
        telling = value if isinstance(value, bool) else value not in _TRIVIAL
        if telling and isinstance(value, (int, float, str, tuple)):
            found[name] = value
    return found
