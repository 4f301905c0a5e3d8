"""Several attacks, and for each image the best of what they find."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deel_seg._checks import check_choice, check_real, received
from deel_seg._lasting_name import lasting_name
from deel_seg.attacks.alma_prox import ALMAProx
from deel_seg.attacks.apgd import APGD
from deel_seg.attacks.attack import Attack
from deel_seg.attacks.contract import AttackResult
from deel_seg.attacks.pgd import PGD
from deel_seg.attacks.pixel_losses import Boundary

Tensor = Any

_POLISH = 10  # Steps from what an attack of minimal norm found, brought into the ball.


def _fast(temperature: float) -> list[Attack]:
    return [
        PGD(loss="masked_crossentropy", temperature=temperature),
        PGD(loss="cospgd", temperature=temperature),
        PGD(loss=Boundary(0.06, 0.02)),
        PGD(loss=Boundary(0.12, 0.004)),
    ]


def _strong(temperature: float) -> list[Attack]:
    of_probabilities = ("masked_crossentropy", "cospgd", "jensen_shannon")
    return [
        *(APGD(steps=20, loss=loss, temperature=temperature) for loss in of_probabilities),
        PGD(steps=20, loss="squared_hinge"),
        PGD(steps=80, loss=Boundary(0.06, 0.02)),
        PGD(steps=80, loss=Boundary(0.12, 0.004)),
        ALMAProx(steps=60),
    ]


def _fine() -> PGD:
    return PGD(steps=40, step_size=0.1, loss=Boundary(0.01, 0.002))


PRESETS = {"fast": _fast, "strong": _strong}


class AttackSuite:
    """Several attacks after each other, and for each image the worst of what they found.

    `"fast"` is PGD with four losses, 80 gradients an image; `"strong"` six searches within the
    budget and ALMA prox, and then small steps from the best point of all, 350. Attacks of minimal
    norm look for a few hits more than the others found; what they find is brought into the ball and
    polished there. Where the certificate has slack nearly all comes from the boundary losses with a
    falling scale; where it has none, from the squared hinge.

    Args:
        preset: `"fast"` or `"strong"`.
        temperature: Factor of the logits in losses of probabilities. Lipschitz networks have small
            logits: take the temperature they were trained with.
        attacks: Attacks in place of those of a preset.

    Example:
    >>> import numpy as np
    >>> from deel_seg.attacks import AttackSuite
    >>> images = np.array([[[[0.55, 0.45], [0.7, 0.3]]]], "float32")
    >>> result = AttackSuite("fast")(lambda x: x, images, np.zeros((1, 1, 2), int), eps=0.1)
    >>> result.accuracy.tolist(), result.evaluations
    ([0.5], 80)
    """

    def __init__(
        self,
        preset: str = "fast",
        *,
        temperature: float = 1.0,
        attacks: Sequence[Attack] | None = None,
    ) -> None:
        temperature = check_real("temperature", temperature, minimum=0, exclusive_minimum=True)
        chosen = PRESETS[check_choice("preset", preset, PRESETS)](temperature)
        self.attacks: list[Attack] = chosen if attacks is None else list(attacks)
        if not self.attacks or not all(isinstance(attack, Attack) for attack in self.attacks):
            raise ValueError(
                f"`attacks` must be attacks, at least one. {received(attacks=attacks)}"
            )
        self._polish = PGD(steps=_POLISH, step_size=0.25, loss=Boundary())
        self._fine = _fine() if attacks is None and preset == "strong" else None

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        images: Any,
        labels: Any,
        *,
        eps: Any,
        initial: Any = None,
        folder: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> AttackResult:
        """Attacks images; arguments as those of an attack with a budget.

        Returns:
            The result of the best attack on each image, and the envelope of all of them.
        """
        numbers = itertools.count()

        def search(attack: Attack, **given: Any) -> AttackResult:
            name = f"{next(numbers):02}_{type(attack).__name__}"
            part = None if folder is None else Path(folder) / name
            return attack(model, images, labels, folder=part, **options, **given)

        results = []
        if initial is not None:
            results.append(search(self._polish, eps=eps, initial=initial))
        for attack in sorted(self.attacks, key=lambda attack: attack.minimal):
            if attack.minimal:
                best = functools.reduce(_better, results) if results else None
                results.append(self._within(search, attack, eps, best))
            else:
                results.append(search(attack, eps=eps))
        best = functools.reduce(_better, results)
        if self._fine is None:
            return best
        return _better(best, search(self._fine, eps=eps, initial=best.images))

    def __repr__(self) -> str:
        fine = "" if self._fine is None else f", fine={lasting_name(self._fine)}"
        return f"AttackSuite(attacks={lasting_name(self.attacks)}{fine})"

    def _within(
        self,
        search: Callable[..., AttackResult],
        attack: Attack,
        eps: Any,
        best: AttackResult | None,
    ) -> AttackResult:
        """What an attack of minimal norm finds, brought into the ball."""
        threshold = 0.01 if best is None else np.maximum(0.98 * best.accuracy - 0.005, 0.0)
        threshold = np.where(np.isnan(threshold), 1.0, threshold)
        expected = float(max(np.max(eps), 1e-6))
        found = search(attack, threshold=threshold, expected_norm=expected)
        inside = search(self._polish, eps=eps, initial=found.images)
        envelope = found.envelope.merged(inside.envelope)
        evaluations = found.evaluations + inside.evaluations
        return dataclasses.replace(inside, envelope=envelope, evaluations=evaluations)

    def curve(
        self,
        model: Callable[[Tensor], Tensor],
        images: Any,
        labels: Any,
        *,
        eps: Sequence[float],
        folder: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> list[AttackResult]:
        """A result for each budget, each started from that of the next smaller one too.

        The envelope of each is that of all up to it.
        """
        budgets = np.asarray(eps, "float64")
        if budgets.ndim != 1 or not len(budgets):
            raise ValueError(f"`eps` must be a sequence of budgets. {received(eps=eps)}")
        images = np.asarray(images, "float32")
        low, high = options.get("bounds", (0.0, 1.0))
        results: dict[float, AttackResult] = {}
        last: AttackResult | None = None
        for budget in sorted(set(budgets.tolist())):
            initial = None
            if last is not None:
                lengths = np.maximum(last.norms, 1e-30)[:, None, None, None]
                initial = np.clip(images + (last.images - images) * (budget / lengths), low, high)
                initial = initial.astype("float32")
            part = None if folder is None else Path(folder) / f"eps_{budget!r}"
            given = {"eps": budget, "initial": initial, "folder": part}
            found = self(model, images, labels, **given, **options)
            last = found if last is None else _better(last, found)
            results[budget] = last
        return [results[budget] for budget in budgets.tolist()]


def _better(one: AttackResult, other: AttackResult) -> AttackResult:
    """The better result on each image."""
    choose = np.nan_to_num(other.accuracy) < np.nan_to_num(one.accuracy)
    return AttackResult(
        np.where(choose[:, None, None, None], other.images, one.images),
        np.where(choose, other.norms, one.norms),
        np.where(choose, other.accuracy, one.accuracy),
        one.reached | other.reached,
        one.envelope.merged(other.envelope),
        one.evaluations + other.evaluations,
    )
