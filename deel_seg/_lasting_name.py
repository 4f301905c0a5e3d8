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
    return _name(value, ())


def _name(value: Any, inside: tuple[int, ...]) -> str:
    if id(value) in inside:  # A function that calls itself holds itself.
        return "..."
    inside = (*inside, id(value))
    if isinstance(value, types.FunctionType):
        return f"<function {value.__module__}.{value.__qualname__} {_digest(value, inside)}>"
    if isinstance(value, types.MethodType):
        return f"<method {value.__func__.__qualname__} of {_name(value.__self__, inside)}>"
    if isinstance(value, (list, tuple)):
        names = ", ".join(_name(each, inside) for each in value)
        return f"[{names}]" if isinstance(value, list) else f"({names})"
    if isinstance(value, Mapping):
        pairs = (f"{_name(key, inside)}: {_name(each, inside)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [each.name for each in dataclasses.fields(value) if each.repr]
        parts = (f"{name}={_name(getattr(value, name), inside)}" for name in shown)
        return f"{type(value).__qualname__}({', '.join(parts)})"
    if type(value).__repr__ is object.__repr__:
        held = _name(getattr(value, "__dict__", {}), inside)
        return f"<{type(value).__module__}.{type(value).__qualname__} {held}>"
    return repr(value)


def _digest(function: types.FunctionType, inside: tuple[int, ...]) -> str:
    made_with = [function.__defaults__, function.__kwdefaults__]
    made_with += [_content(cell) for cell in function.__closure__ or ()]
    text = repr(_code(function.__code__)) + _name(made_with, inside)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # Nothing was assigned to it.
        return None


def _code(code: types.CodeType) -> tuple[Any, ...]:
    """What a function does; not where it stands in its file."""
    return code.co_code, code.co_names, [_constant(each) for each in code.co_consts]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _code(value)
    # The order of a set is another one in each process.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value
