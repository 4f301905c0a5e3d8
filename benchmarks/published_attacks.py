"""Attacks as they are published, each with as many gradients as it is given."""

from __future__ import annotations

from deel_seg.attacks import (
    ALMA,
    APGD,
    ASMA,
    DAG,
    DDN,
    FMN,
    PDPGD,
    PGD,
    ALMAProx,
    Attack,
    Boundary,
    CosPGD,
    SegPGD,
)


def published(steps: int, temperature: float) -> dict[str, Attack]:
    """Every published attack that the library has, with its authors' loss.

    Args:
        steps: Gradients of an image.
        temperature: Of the losses of probabilities.
    """
    given = {"steps": steps, "temperature": temperature}
    return {
        "PGD, cross-entropy": PGD(loss="crossentropy", **given),
        "PGD, margin": PGD(loss="margin", **given),
        "PGD, masked cross-entropy": PGD(loss="masked_crossentropy", **given),
        "APGD, masked cross-entropy": APGD(loss="masked_crossentropy", **given),
        "APGD, Jensen-Shannon": APGD(loss="jensen_shannon", **given),
        "SegPGD": SegPGD(**given),
        "CosPGD": CosPGD(**given),
        "DAG": DAG(steps=steps),
        "DDN": DDN(loss="crossentropy", **given),
        "FMN": FMN(loss="margin", steps=steps),
        "ALMA": ALMA(steps=steps),
        "ALMA prox": ALMAProx(steps=steps),
        "ASMA": ASMA(steps=steps),
        "PDPGD": PDPGD(steps=steps),
    }


def with_our_loss(steps: int) -> dict[str, Attack]:
    """What the library's own loss does for one attack of each family."""
    return {
        "PGD, boundary loss": PGD(steps=steps, loss=Boundary(0.12, 0.004)),
        "DDN, boundary loss": DDN(steps=steps),
    }
