"""Every attack of the library against every certificate, on every trained Lipschitz network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import pets_lipnet, pets_name, polyps_lipnet, scenes_lipnet
from benchmarks.paper.runway_scenes import scenes
from benchmarks.paper.scales import Scale
from benchmarks.paper.soundness import check_sound
from benchmarks.published_attacks import published, with_our_loss
from benchmarks.report import table
from deel_seg.attacks import PGD, Attack, AttackResult, Goal, untargeted, vanishing
from deel_seg.certificates import (
    pixel_accuracy_radius,
    worst_case_pixel_accuracy,
    worst_case_recall,
)

RUNWAY = ("runway_fcn_lipschitz_strong", "runway_unet_lipschitz_strong")


class Case(NamedTuple):
    """A network, its images, and the class whose pixels are to vanish."""

    run: str
    images: np.ndarray
    labels: np.ndarray
    class_id: int
    ignore_class: int
    temperature: float


def every_attack(steps: int, temperature: float) -> dict[str, Attack]:
    """The published ones, and the library's own losses."""
    hinge = {"PGD, squared hinge": PGD(loss="squared_hinge", steps=steps)}
    return {**published(steps, temperature), **with_our_loss(steps), **hinge}


def trainings(scale: Scale) -> dict[str, list[str]]:
    """A Lipschitz network of each data set and architecture."""
    runway = {run: scale.runway.arguments(run) for run in RUNWAY}
    return {**scenes_lipnet(scale), **pets_lipnet(scale), **polyps_lipnet(scale), **runway}


def cases(context: Context) -> Iterator[Case]:
    """The networks with the images that they are attacked on."""
    scale, count = context.scale, context.scale.every_attack.images
    temperature = scale.pets.temperature
    runs = {"scenes": "scenes_lipnet", "pets": pets_name(temperature), "polyps": "polyps_lipnet"}
    for name, run in runs.items():
        batches = context.data(name, images=count, batch_size=count)
        images, labels = (np.asarray(part) for part in next(iter(batches)))
        info, task = context.info(name), context.task(name)
        wanted = {"scenes": scale.table_3.class_name}.get(name)
        class_id = info.class_names.index(wanted) if wanted else 1
        yield Case(run, images, labels, class_id, info.ignore_class, task.temperature)
    runway = scale.runway
    for run in RUNWAY:
        images, labels = scenes(
            runway.test_split, count, runway.size, data=runway.data, options=runway.options,
            root=context.roots.get(runway.data),
        )  # fmt: skip
        temperature = runway.networks[run].temperature
        yield Case(run, images, labels, runway.class_id, 255, temperature)


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
        "attacks": len(every_attack(asked.steps, 1.0)),
        "networks": found,
    }


def measure(context: Context, case: Case) -> dict[str, Any]:
    """How near attacks came to what is certified, of each kind."""
    asked, model = context.scale.every_attack, context.model(case.run)
    least = Certified.of(model, case, asked.eps, asked.thresholds)
    gaps: dict[str, list[np.ndarray]] = {"accuracy": [], "recall": [], "norm": []}
    for name, attack in every_attack(asked.steps, case.temperature).items():
        everywhere = untargeted(case.labels, ignore_class=case.ignore_class)
        of_class = vanishing(case.labels, class_id=case.class_id)
        folder = context.folder_of("every_attack") / case.run / name.replace(", ", "_")
        seen = _attacked(attack, model, case, everywhere, asked.eps, folder / "all").envelope
        accuracy, norms = seen.accuracy(asked.eps), [seen.norm(each) for each in asked.thresholds]
        gaps["accuracy"].append(_gap(accuracy, least.accuracy, f"accuracy under {name}"))
        norms = np.stack(norms, axis=-1)
        gaps["norm"].append(_gap(norms, least.norms, f"a norm found by {name}"))
        seen = _attacked(attack, model, case, of_class, asked.eps, folder / "class").envelope
        recall = seen.accuracy(asked.eps)
        gaps["recall"].append(_gap(recall, least.recall, f"recall under {name}"))
    return {
        "run": case.run,
        "lipschitz_constant": model.lipschitz_constant,
        "images": len(case.images),
        "size": case.images.shape[1:3],
        "comparisons": sum(each.size for values in gaps.values() for each in values),
        "least_gap": {name: _least(np.concatenate(values)) for name, values in gaps.items()},
    }


class Certified(NamedTuple):
    """What no attack can go below: `(images, budgets)` twice, and `(images, thresholds)`."""

    accuracy: np.ndarray
    recall: np.ndarray
    norms: np.ndarray

    @classmethod
    def of(
        cls,
        model: keras.Model,
        case: Case,
        eps: Any,
        thresholds: Any,
        constant: float | None = None,
    ) -> Certified:
        """Certificates of a network with its own constant, or with one that is given."""
        logits = model(ops.convert_to_tensor(case.images), training=False)
        options = {
            "lipschitz_constant": model.lipschitz_constant if constant is None else constant,
            "ignore_class": case.ignore_class,
        }
        labels = case.labels
        norms = [pixel_accuracy_radius(logits, labels, threshold=t, **options) for t in thresholds]
        recall = worst_case_recall(logits, labels, eps=eps, positive_class=case.class_id, **options)
        accuracy = worst_case_pixel_accuracy(logits, labels, eps=eps, **options)
        found = (accuracy, recall, ops.stack(norms, axis=-1))
        return cls(*(ops.convert_to_numpy(each) for each in found))


def _attacked(
    attack: Attack, model: keras.Model, case: Case, goal: Goal, eps: Any, folder: Any
) -> AttackResult:
    options: dict[str, Any] = {"batch_size": len(case.images), "folder": folder}
    if attack.minimal:
        # Down to a hit of almost everything: the way there is in the envelope.
        return attack(model, case.images, goal, threshold=0.05, expected_norm=max(eps), **options)
    return attack(model, case.images, goal, eps=max(eps), **options)


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
                _points(gap["accuracy"]), _points(gap["recall"]),
                "none" if gap["norm"] is None else f"{gap['norm']:.3f}",
            ]
        )  # fmt: skip
    header = [
        "network", "images", "comparisons", "accuracy above CRPA, points",
        "recall above the certified, points", "norm above the radius",
    ]  # fmt: skip
    eps, thresholds = (", ".join(f"{x:g}" for x in result[key]) for key in ("eps", "thresholds"))
    return f"""{table(header, rows)}

{result["attacks"]} attacks of {result["steps"]} steps on each network, every image at budgets
{eps}, for all pixels and for those of one class; norms down to accuracies of {thresholds}.
None went below a certificate. Shown is the least distance that any of them left, of any image at
any budget where the certificate is above 0."""


def _points(gap: float | None) -> str:
    return "none" if gap is None else f"{100 * gap:.2f}"


EXPERIMENT = Experiment(
    "every_attack", "Every attack against every certificate", trainings, run, show,
    reads=("runway", "table_3"),
)  # fmt: skip
