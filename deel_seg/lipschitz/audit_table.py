"""What an audit found, as data, as a table, as JSON and as Markdown."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from deel_seg._json import as_json
from deel_seg.lipschitz.audit_rounding import LogitRounding

DRIFT = 1e-3
"""Relative excess of a bound from the weights over the design's from which a layer has drifted."""


@dataclasses.dataclass(frozen=True)
class AuditRow:
    """One layer, for inputs of bound 1.

    Attributes:
        name: Name of the layer, after those of the models it is nested in.
        type: Its class.
        by_design: The bound that its design intends; `None` where there is none.
        by_weights: The bound proved from its weights.
        tightness: The bound of its kernel over the norm that is seen of it; `None` for no kernel.
        parameters: What else the bound depends on.
    """

    name: str
    type: str
    by_design: float | None
    by_weights: float
    tightness: float | None
    parameters: dict[str, Any]

    @property
    def drifted(self) -> bool:
        """Whether the weights exceed what the design intends."""
        return self.by_design is not None and self.by_weights > self.by_design * (1.0 + DRIFT)


@dataclasses.dataclass(frozen=True)
class Audit:
    """The constants of a network and of its layers.

    Attributes:
        model: Name of the network.
        rows: Its layers, in the order of the graph.
        by_design: Its constant by design; `None` if a layer has none.
        certified: Its constant proved from the weights.
        seen: The largest ratio seen at some images; `None` where none were given.
        rounding: What rounding adds to the logits, at the same images.
    """

    model: str
    rows: list[AuditRow]
    by_design: float | None
    certified: float
    seen: float | None = None
    rounding: LogitRounding | None = None

    @property
    def holds(self) -> bool:
        """Whether the weights keep what the design intends, as far as it intends anything."""
        return not any(row.drifted for row in self.rows) and self.consistent

    @property
    def consistent(self) -> bool:
        """Whether nothing was seen that is proved not to be."""
        rounding = self.rounding is None or self.rounding.consistent
        return rounding and (self.seen is None or self.seen <= self.certified)

    @property
    def verdict(self) -> str:
        """In a sentence."""
        if self.rounding is not None and not self.rounding.consistent:
            return f"CONTRADICTION: {self.rounding} Please report this."
        if not self.consistent:
            return (
                f"CONTRADICTION: a ratio of {self.seen:.6g} was seen, above the proved "
                f"{self.certified:.6g}. Please report this."
            )
        drifted = [row.name for row in self.rows if row.drifted]
        if drifted:
            return (
                f"The weights exceed the design in {len(drifted)} layer(s): {', '.join(drifted)}. "
                f"Certify with {self.certified:.6g}."
            )
        if self.by_design is None:
            return f"No constant by design; {self.certified:.6g} is proved from the weights."
        return (
            f"The weights keep the design: {self.certified:.6g} is proved from them, "
            f"{self.by_design:.6g} by design."
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        rows = [{**dataclasses.asdict(row), "drifted": row.drifted} for row in self.rows]
        return {
            "model": self.model,
            "by_design": self.by_design,
            "certified": self.certified,
            "seen": self.seen,
            "rounding": None if self.rounding is None else dataclasses.asdict(self.rounding),
            "holds": self.holds,
            "verdict": self.verdict,
            "layers": rows,
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """As JSON; written to `path` too, if there is one."""
        return _written(as_json(self.to_dict()) + "\n", path)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """As a Markdown table; written to `path` too, if there is one."""
        head = ["layer", "type", "by design", "by weights", "tightness", "parameters"]
        body = [
            [
                row.name,
                row.type,
                _number(row.by_design),
                _number(row.by_weights) + (" **drifted**" if row.drifted else ""),
                _number(row.tightness),
                ", ".join(f"{name} {value}" for name, value in row.parameters.items()),
            ]
            for row in self.rows
        ]
        total = ["**network**", "", _number(self.by_design), _number(self.certified), "", ""]
        cells = [head, *body, total]
        widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
        lines = [_line(line, widths) for line in cells]
        lines.insert(1, _line(["-" * width for width in widths], widths))
        if self.seen is not None:
            lines += ["", f"Largest ratio seen: {_number(self.seen)}."]
        if self.rounding is not None:
            lines += ["", str(self.rounding)]
        return _written("\n".join([*lines, "", self.verdict]) + "\n", path)

    def __str__(self) -> str:
        return self.to_markdown()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _line(cells: list[str], widths: list[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    return text
