"""What an exported predictor says of itself: its constant, its input, its budgets, its files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deel_seg._checks import check_range, check_real, received
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.objectives import exact_fraction

FORMAT = "deel_seg.certified_predictor/1"


class RefusedArtefact(ValueError):
    """Exported files that are not what was written, or do not prove what they state."""


@dataclass(frozen=True)
class Manifest:
    """The statement that stands beside an exported network.

    Args:
        network: Name of the network.
        lipschitz_constant: The constant that every certificate takes, in l2, from image to logits.
        proved_constant: What the exported weights prove; at most `lipschitz_constant`.
        obtained: How the constant was obtained.
        input_shape: Of a batch of images; `None` for sizes that are free.
        input_range: Smallest and largest value of an image.
        normalization: Mean and variance by channel that the network takes off itself; empty where
            it does not.
        eps: Budgets of `crs`.
        eps_unit: What a budget measures.
        fraction: Share of the predictions behind `stability_radius`, such as `"1/2"`.
        logit_tolerance: How far the logits that a runtime computes may be from the exact ones.
        logit_tolerance_obtained: How that is known.
        versions: Of the programs that wrote the files.
        weights_sha256: Hash of the weights, in order, with their shapes and dtypes.
        files: Hash of every file, by its path.
    """

    network: str
    lipschitz_constant: float
    proved_constant: float
    obtained: str
    input_shape: tuple[int | None, ...]
    input_range: tuple[float, float]
    normalization: tuple[Mapping[str, Any], ...]
    eps: tuple[float, ...]
    eps_unit: str
    fraction: str
    logit_tolerance: float
    logit_tolerance_obtained: str
    versions: Mapping[str, str]
    weights_sha256: str
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The manifest as it is written."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Reads a manifest, every value of which has to make sense.

        Raises:
            RefusedArtefact: If it is no such manifest; the message names what is wrong with it.
        """
        try:
            values = json.loads(text, parse_constant=_no_number)
        except ValueError as error:
            raise RefusedArtefact(f"The manifest is no JSON: {error}") from error
        names = {entry.name for entry in dataclasses.fields(cls)}
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise RefusedArtefact(f"The manifest is not of the format {FORMAT!r}.")
        if set(values) != names:
            raise RefusedArtefact(
                f"The manifest must hold {sorted(names)}. " + received(names=sorted(values))
            )
        try:
            return cls(**_checked(values))
        except (TypeError, ValueError, KeyError) as error:
            raise RefusedArtefact(f"The manifest makes no sense: {error}") from error


_TEXTS = (
    "network", "obtained", "eps_unit", "fraction", "logit_tolerance_obtained", "weights_sha256",
)  # fmt: skip


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number.")


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    constant = check_real(
        "lipschitz_constant", values["lipschitz_constant"], minimum=0.0, exclusive_minimum=True
    )
    check_real("proved_constant", values["proved_constant"], minimum=0.0, maximum=constant)
    check_real("logit_tolerance", values["logit_tolerance"], minimum=0.0)
    exact_fraction("fraction", values["fraction"], allow_zero=False)
    low, high = check_range("input_range", values["input_range"])
    for name in _TEXTS:
        if not isinstance(values[name], str):
            raise ValueError(f"`{name}` must be a text. " + received(**{name: values[name]}))
    for name in ("versions", "files"):
        entries = values[name]
        if not isinstance(entries, dict) or not all(isinstance(e, str) for e in entries.values()):
            raise ValueError(f"`{name}` must hold texts by name. " + received(**{name: entries}))
    return {
        **values,
        "input_shape": tuple(values["input_shape"]),
        "input_range": (low, high),
        "normalization": tuple(values["normalization"]),
        "eps": tuple(check_budgets(values["eps"])),
    }
