"""Names of settings that another process gives them too."""

from __future__ import annotations

import dataclasses
import hashlib
import types
from collections.abc import Mapping
from typing import Any


def lasting_name(value: Any) -> str:
    """The `repr` of a value, with functions named by what they compute and not where they lie.

    A function is known by its module, its name, its code and the values that it was made with: one
    that was changed has another name. What it calls is known by name only.

    Args:
        value: A function, a dataclass, a list, or anything whose `repr` says what it is.
    """
    if isinstance(value, types.FunctionType):
        return f"<function {value.__module__}.{value.__qualname__} {_digest(value)}>"
    if isinstance(value, types.MethodType):
        return f"<method {value.__func__.__qualname__} of {lasting_name(value.__self__)}>"
    if isinstance(value, (list, tuple)):
        names = ", ".join(map(lasting_name, value))
        return f"[{names}]" if isinstance(value, list) else f"({names})"
    if isinstance(value, Mapping):
        pairs = (f"{lasting_name(key)}: {lasting_name(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [each.name for each in dataclasses.fields(value) if each.repr]
        parts = (f"{name}={lasting_name(getattr(value, name))}" for name in shown)
        return f"{type(value).__qualname__}({', '.join(parts)})"
    if type(value).__repr__ is object.__repr__:
        return f"<{type(value).__module__}.{type(value).__qualname__} {lasting_name(vars(value))}>"
    return repr(value)


def _digest(function: types.FunctionType) -> str:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    made_with = [function.__defaults__, function.__kwdefaults__, cells]
    text = repr(_code(function.__code__)) + lasting_name(made_with)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _code(code: types.CodeType) -> tuple[Any, ...]:
    """What a function does; not where it stands in its file."""
    return code.co_code, code.co_names, [_constant(each) for each in code.co_consts]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _code(value)
    # The order of a set is another one in each process.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value
