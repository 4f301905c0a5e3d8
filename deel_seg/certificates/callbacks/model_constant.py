"""The Lipschitz constant that a callback certifies a model with."""

from __future__ import annotations

from typing import Any

from deel_seg._checks import check_real, received


def own_constant(model: Any) -> float | None:
    """The constant that a model proves of itself, or `None` for a model that knows none.

    A `LipschitzModel` proves it from its weights; of another model it is `lipschitz_constant`.

    Raises:
        ValueError: From a model that walks its graph and finds a layer of unknown bound.
    """
    proved = getattr(model, "proved_constant", None)
    constant = proved() if callable(proved) else getattr(model, "lipschitz_constant", None)
    if constant is None:
        return None
    name = "model.lipschitz_constant"
    return check_real(name, constant, minimum=0, exclusive_minimum=True)


def own_constant_if_known(model: Any) -> float | None:
    """The same, and `None` too for a model with a layer of unknown bound."""
    try:
        return own_constant(model)
    except ValueError:
        return None


def constant_by_design(model: Any) -> float | None:
    """What a model states whatever its weights are, if anything: it moves with its factors only."""
    try:
        return getattr(model, "lipschitz_constant", None)
    except ValueError:
        return None


def certifying_constant(model: Any, given: float | None, p: float) -> float:
    """The constant to certify with: the one given, or else the model's own.

    Raises:
        ValueError: When neither is known, and when the one given is below the model's, with which
            more would be certified than holds.
    """
    # What a model proves of itself is a bound in l2, and in other norms none.
    if given is None:
        own = own_constant(model) if p == 2 else None
        if own is None:
            raise ValueError(
                "The Lipschitz constant of the model is not known: pass lipschitz_constant=..., or "
                "for p=2 use a model that knows its own. "
                f"{received(lipschitz_constant=None, p=p)}"
            )
        return own
    own = own_constant_if_known(model) if p == 2 else None
    if own is not None and given < own:
        raise ValueError(
            f"`lipschitz_constant` must not be below the model's, {own!r}: more would be certified "
            f"than holds. {received(lipschitz_constant=given)}"
        )
    return given
