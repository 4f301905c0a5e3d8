"""Attacks a network with the public package adv-lib: the part that needs PyTorch, and no Keras.

    python benchmarks/adv_lib_attacks.py FOLDER

`benchmarks/adv_lib_comparison.py` calls it, in an environment with torch, adv-lib and numpy. It
reads FOLDER/network.npz and FOLDER/inputs.npz, and writes what each attack returns to FOLDER, for
each image, and makes no file again.
"""

from __future__ import annotations

import json
import math
import os
import sys
import types
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# What the package compiles, it compiles anew at each size: slower than a few hundred steps.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

from benchmarks.torch_network import TorchNetwork  # noqa: E402

AGREEMENT = 1e-5
FITTED = "steps for the budget"


def import_attacks() -> Any:
    """The package's attacks for segmentation.

    It imports visdom, to show curves, and torchvision, for a distance: neither has a part here, and
    an empty module takes the place of one that is not there.
    """
    for name, part in (("visdom", "Visdom"), ("torchvision", "models")):
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
            setattr(sys.modules[name], part, None)
    try:
        from adv_lib.attacks import segmentation
    except ImportError as error:
        raise SystemExit(
            f"{sys.executable} has no adv-lib (pip install adv-lib): {error}"
        ) from None
    return segmentation


class Chosen(NamedTuple):
    """An attack of the package, and how it is called."""

    attack: Callable[..., Any]
    options: dict[str, Any]
    targeted: bool = False  # ASMA has no untargeted form: it would raise the labels' logits.
    factor: float = 1.0  # Of the logits.


def chosen_attacks(package: Any, given: Given, eps: float, steps: int) -> dict[str, Chosen]:
    """First as the package has them; then with steps for this budget and logits of ordinary size.

    The defaults are for other units: ASMA moves by 1e-7 of a gradient, PDPGD by 0.1 in all values.
    """
    per_value = 0.1 * eps / math.sqrt(given.images[0].numel())
    dual = {"num_steps": steps, "primal_lr": per_value, "constraint_masking": True}
    pace_of_dag = {"\N{GREEK SMALL LETTER GAMMA}": eps / 20}
    pace = eps / steps / given.steepness()
    return {
        "ALMA prox (l-inf)": Chosen(package.alma_prox, {"num_steps": steps}),
        "ASMA": Chosen(package.asma, {"num_steps": steps}, True),
        "PDPGD": Chosen(package.pdpgd, {"num_steps": steps, "norm": 2}),
        "PDGD": Chosen(package.pdgd, {"num_steps": steps}),
        "DAG": Chosen(package.dag, {"max_iter": steps, "p": 2, **pace_of_dag}),
        f"ASMA, {FITTED}": Chosen(
            package.asma, {"num_steps": steps, "τ": pace, "β": 10 * pace}, True
        ),
        f"PDPGD, {FITTED}": Chosen(package.pdpgd, {**dual, "norm": 2}, False, given.temperature),
        f"PDGD, {FITTED}": Chosen(package.pdgd, dual, False, given.temperature),
    }


class Given(NamedTuple):
    """A network and its images, channels first."""

    network: TorchNetwork
    images: Any
    labels: Any
    targets: Any  # The class that comes nearest to each label
    temperature: float
    classes: int

    @classmethod
    def of(cls, folder: Path) -> tuple[Given, float]:
        """What a folder holds, and how far its logits are from those of the other network."""
        network = TorchNetwork(folder / "network.npz")
        with np.load(folder / "inputs.npz") as stored:
            images = torch.from_numpy(stored["images"]).permute(0, 3, 1, 2).contiguous()
            labels = torch.from_numpy(stored["labels"].astype("int64"))
            expected = torch.from_numpy(stored["logits"]).permute(0, 3, 1, 2)
            temperature = float(stored["temperature"])
        with torch.no_grad():
            logits = network(images)
        classes = logits.shape[1]
        own = torch.nn.functional.one_hot(labels.clamp(max=classes - 1), classes)
        targets = (logits - 1e9 * own.permute(0, 3, 1, 2)).argmax(1)
        difference = float((logits - expected).abs().max())
        return cls(network, images, labels, targets, temperature, classes), difference

    def steepness(self) -> float:
        """Mean norm of what ASMA goes along first: the gradient of the targets' logits."""
        images = self.images.clone().requires_grad_(True)
        logits = self.network(images).gather(1, self.targets[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(logits[self.labels < self.classes].sum(), images)
        return float(gradient.flatten(1).norm(dim=1).mean())

    def attacked(self, chosen: Chosen, row: int, told: float) -> np.ndarray:
        """What an attack returns for one image: a threshold is for a whole batch."""
        rows = slice(row, row + 1)
        found = chosen.attack(
            lambda images: chosen.factor * self.network(images),
            self.images[rows],
            (self.targets if chosen.targeted else self.labels)[rows],
            masks=self.labels[rows] < self.classes,
            targeted=chosen.targeted,
            adv_threshold=1.0 - told,
            **chosen.options,
        )
        return found.detach().permute(0, 2, 3, 1).numpy()


def main() -> None:
    """Checks the logits, and attacks every image at every budget."""
    folder = Path(sys.argv[1])
    given, difference = Given.of(folder)
    if not difference <= AGREEMENT:
        raise SystemExit(f"The logits of the two networks are {difference} apart.")
    package = import_attacks()
    versions = {name: metadata.version(name) for name in ("torch", "adv-lib")}
    (folder / "about.json").write_text(json.dumps({"difference": difference, **versions}))
    with np.load(folder / "inputs.npz") as stored:
        budgets, steps, told = (stored[name] for name in ("eps", "steps", "told"))
    for number, eps in enumerate(budgets.tolist()):
        for name, chosen in chosen_attacks(package, given, eps, int(steps[number])).items():
            for row, share in enumerate(told[number].tolist()):
                file = folder / f"{eps:g} {row} {name}.npz"
                if file.exists():
                    continue
                print(f"  eps {eps:g}: {name}, image {row + 1} of {len(told[number])}", flush=True)
                np.savez(folder / "partial.npz", images=given.attacked(chosen, row, share))
                (folder / "partial.npz").replace(file)


if __name__ == "__main__":
    main()
