"""Every attack of the library against every certificate, on every trained Lipschitz network."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.paper.attacked_cases import Case, cases, trainings
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.scales import EveryAttack
from benchmarks.paper.soundness import check_sound
from benchmarks.published_attacks import published, with_our_loss
from benchmarks.report import table
from deel_seg.attacks import (
    PGD,
    Attack,
    AttackResult,
    AttackSuite,
    Goal,
    fabrication,
    targeted,
    untargeted,
    vanishing,
)
from deel_seg.certificates import (
    fnr_radius,
    pixel_accuracy_radius,
    worst_case_pixel_accuracy,
    worst_case_recall,
    worst_case_stability,
)

# What pixels are to become; the attacks that are tried at that, beside the suite.
TARGETED = ("fabricated", "targeted")
WITH_TARGETS = ("PGD, masked cross-entropy", "PGD, boundary loss", "DDN", "ALMA prox", "ASMA")


def every_attack(steps: int, temperature: float, suite: str) -> dict[str, Attack | AttackSuite]:
    """The published ones, the library's own losses, and a suite."""
    return {
        **published(steps, temperature),
        **with_our_loss(steps),
        "PGD, squared hinge": PGD(loss="squared_hinge", steps=steps),
        f"the {suite} suite": AttackSuite(suite, temperature=temperature),
    }


def run(context: Context) -> dict[str, Any]:
    """Attacks all networks; an attack below a certificate ends it with an error."""
    asked = context.scale.every_attack
    found = []
    for case in cases(context):
        print(f"  {case.run}", flush=True)
        found.append(measure(context, case))
    return {
        "eps": list(asked.eps),
        "thresholds": list(asked.thresholds),
        "steps": asked.steps,
        "attacks": len(every_attack(asked.steps, 1.0, asked.suite)),
        "networks": found,
    }


def measure(context: Context, case: Case) -> dict[str, Any]:
    """How near attacks came to what is certified, of each kind."""
    asked, model = context.scale.every_attack, context.model(case.run)
    predicted = _logits(model, case, asked.batch_size).argmax(-1)
    kept = case.labels != case.ignore_class
    made = predicted[:, :, ::-1]  # A segmentation that is likely, and not the one that it is.
    goals = {
        "accuracy": untargeted(case.labels, ignore_class=case.ignore_class),
        "recall": vanishing(case.labels, class_id=case.class_id),
        "fabricated": fabrication(kept & (predicted != case.class_id), class_id=case.class_id),
        "targeted": targeted(made, mask=kept & (made != predicted)),
    }
    least = certified(model, case, asked, goals)
    gaps: dict[str, list[np.ndarray]] = {name: [] for name in least}
    attacks = every_attack(asked.steps, case.temperature, asked.suite)
    suite = list(attacks)[-1]
    for name, attack in attacks.items():
        folder = context.folder_of("every_attack") / case.run / name.replace(", ", "_")
        for goal, wanted in goals.items():
            if goal in TARGETED and name not in (*WITH_TARGETS, suite):
                continue
            found = _attacked(attack, model, case, wanted, asked, folder / goal).envelope
            left, what = found.accuracy(asked.eps), f"{goal} under {name}"
            gaps[goal].append(_gap(left, least[goal], what))
            if f"{goal} norm" in least:
                norms = np.stack([found.norm(each) for each in asked.thresholds], axis=-1)
                norms[wanted.counted == 0] = np.nan  # Nothing to hit, and nothing certified.
                gaps[f"{goal} norm"].append(_gap(norms, least[f"{goal} norm"], f"norm, {what}"))
    return {
        "run": case.run,
        "lipschitz_constant": model.lipschitz_constant,
        "images": len(case.images),
        "size": case.images.shape[1:3],
        "comparisons": sum(each.size for values in gaps.values() for each in values),
        "least_gap": {name: _least(np.concatenate(values)) for name, values in gaps.items()},
    }


def certified(
    model: keras.Model,
    case: Case,
    asked: EveryAttack,
    goals: Mapping[str, Goal],
    constant: float | None = None,
) -> dict[str, np.ndarray]:
    """What no attack can go below, by goal: `(images, budgets)`, norms `(images, thresholds)`.

    Args:
        model: The network.
        case: What it is attacked on.
        asked: Budgets, and shares that norms are about.
        goals: What attacks are for. Pixels that are to become something else have to change.
        constant: In place of the network's own.
    """
    logits, labels = _logits(model, case, asked.batch_size), case.labels
    options: dict[str, Any] = {
        "lipschitz_constant": model.lipschitz_constant if constant is None else constant,
        "ignore_class": case.ignore_class,
    }
    eps, of_class = list(asked.eps), {**options, "positive_class": case.class_id}
    found = {
        "accuracy": worst_case_pixel_accuracy(logits, labels, eps=eps, **options),
        "recall": worst_case_recall(logits, labels, eps=eps, **of_class),
        "accuracy norm": ops.stack(
            [pixel_accuracy_radius(logits, labels, threshold=t, **options)
             for t in asked.thresholds], axis=-1,
        ),
        "recall norm": ops.stack(
            [fnr_radius(logits, labels, threshold=1 - Fraction(repr(t)), **of_class)
             for t in asked.thresholds], axis=-1,
        ),
    }  # fmt: skip
    for name in goals.keys() - found.keys():
        outside = np.where(goals[name].mask, 0, case.ignore_class)
        found[name] = worst_case_stability(logits, labels=outside, eps=eps, **options)
    return {name: ops.convert_to_numpy(each) for name, each in found.items()}


def _logits(model: keras.Model, case: Case, batch_size: int) -> np.ndarray:
    starts = range(0, len(case.images), batch_size)
    parts = [
        model(ops.convert_to_tensor(case.images[start : start + batch_size]), training=False)
        for start in starts
    ]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def _attacked(
    attack: Attack | AttackSuite,
    model: keras.Model,
    case: Case,
    goal: Goal,
    asked: EveryAttack,
    folder: Any,
) -> AttackResult:
    options: dict[str, Any] = {"batch_size": asked.batch_size, "folder": folder}
    most = max(asked.eps)
    if isinstance(attack, Attack) and attack.minimal:
        # Down to a hit of almost everything: the way there is in the envelope.
        return attack(model, case.images, goal, threshold=0.05, expected_norm=most, **options)
    return attack(model, case.images, goal, eps=most, **options)


def _gap(attacked: np.ndarray, certified: np.ndarray, what: str) -> np.ndarray:
    """How far attacks stayed above a certificate, wherever it says anything."""
    check_sound(attacked, certified, what)
    return (attacked - certified)[(certified > 0) & np.isfinite(attacked)]


def _least(values: np.ndarray) -> float | None:
    return float(np.min(values)) if values.size else None


def show(result: dict[str, Any]) -> str:
    """A row a network."""
    rows = []
    for found in result["networks"]:
        gap, (height, width) = found["least_gap"], found["size"]
        rows.append(
            [
                found["run"], f"{found['images']} of {height}x{width}", str(found["comparisons"]),
                *(_points(gap[goal]) for goal in ("accuracy", "recall", "fabricated", "targeted")),
                *(_norm(gap[f"{goal} norm"]) for goal in ("accuracy", "recall")),
            ]
        )  # fmt: skip
    header = [
        "network", "images", "comparisons", "accuracy above CRPA, points",
        "recall above the certified, points", "pixels left that were to become one class, points",
        "pixels left of a targeted mask, points", "norm above the radius of the accuracy",
        "norm above the radius of the FNR",
    ]  # fmt: skip
    some = len(WITH_TARGETS) + 1
    eps, thresholds = (", ".join(f"{x:g}" for x in result[key]) for key in ("eps", "thresholds"))
    return f"""{table(header, rows)}

{result["attacks"]} attacks of {result["steps"]} steps on each network, the last one a suite of
several, every image at budgets {eps}: on all pixels, on those of one class, to have all others
become that class, and to have the prediction become its mirror image; to the latter two {some} of
them, and CRS of these pixels is what is certified. Norms are those down to accuracies and recalls
of {thresholds}. None went below a certificate. Shown is the least distance that any of them left,
of any image at any budget where the certificate is above 0."""


def _norm(gap: float | None) -> str:
    return "none" if gap is None else f"{gap:.3f}"


def _points(gap: float | None) -> str:
    return "none" if gap is None else f"{100 * gap:.2f}"


EXPERIMENT = Experiment(
    "every_attack", "Every attack against every certificate", trainings, run, show,
    reads=("runway", "table_3"),
)  # fmt: skip
