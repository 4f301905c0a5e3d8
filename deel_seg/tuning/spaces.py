"""What is searched for a value: one value, a list of them, or a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deel_seg._checks import check_choice, check_real, received

_ENTRIES = ("min", "max", "step", "sampling")


class Space:
    """The values that a search takes one from; all of them above zero.

    Args:
        name: What is searched for.
        values: A number, which is not searched; a list of numbers; or a range, a mapping with
            `min`, `max`, and optionally `step` and `sampling` (`"linear"`, `"log"`).

    Raises:
        ValueError: If it is nothing of the kind, or a number is not above zero.
    """

    def __init__(self, name: str, values: Any) -> None:
        self.name = name
        self.fixed: float | None = None
        self._range: dict[str, Any] | None = None
        self._values: list[float] = []
        if isinstance(values, Mapping):
            self._range = self._as_range(values)
        elif isinstance(values, Sequence) and not isinstance(values, str):
            self._values = [_positive(name, value) for value in values]
            if not self._values or len(set(self._values)) != len(self._values):
                raise ValueError(
                    f"`{name}` must list one number or more, each of them once. "
                    + received(**{name: list(values)})
                )
        else:
            self.fixed = _positive(name, values)

    def choose(self, hp: Any) -> float:
        """The value of a trial; `hp` is a `keras_tuner.HyperParameters`."""
        if self.fixed is not None:
            return self.fixed
        if self._range is not None:
            return float(hp.Float(self.name, **self._range))
        return float(hp.Choice(self.name, self._values))

    def _as_range(self, values: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(values) - set(_ENTRIES))
        if unknown or not {"min", "max"} <= set(values):
            raise ValueError(
                f"`{self.name}` must be a number, a list of numbers, or a range with min, max and "
                f"optionally step and sampling. {received(**{self.name: dict(values)})}"
            )
        low = _positive(f"{self.name}.min", values["min"])
        high = check_real(f"{self.name}.max", values["max"], minimum=low, exclusive_minimum=True)
        found: dict[str, Any] = {"min_value": low, "max_value": high}
        if values.get("sampling") is not None:
            found["sampling"] = check_choice(
                f"{self.name}.sampling", values["sampling"], ("linear", "log")
            )
        if values.get("step") is not None:
            found["step"] = _positive(f"{self.name}.step", values["step"])
        if found.get("sampling") == "log" and found.get("step", 2.0) <= 1:
            raise ValueError(
                f"`{self.name}.step` must be above 1 with logarithmic sampling, of which it is the "
                f"factor. {received(step=found['step'])}"
            )
        return found


def _positive(name: str, value: Any) -> float:
    return check_real(name, value, minimum=0.0, exclusive_minimum=True)
