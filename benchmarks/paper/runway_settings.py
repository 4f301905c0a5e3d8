"""The numbers of the runway experiment at each scale of `benchmarks/paper`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from deel_seg.attacks import APGD, PGD, Attack, Boundary

# Chosen on validation scenes, after 12 epochs: at 150 an FCN was nearly as accurate as its
# unconstrained twin, and from 60 to 20 it lost a tenth of its IoU and won hardly any under attack.
TEMPERATURES = (("slight", 150.0), ("strong", 40.0))
CONFIG: dict[str, Any] = {"widths": [24, 48, 96], "block": "residual", "residual_blocks": 1}


@dataclass(frozen=True)
class Network:
    """How one of the networks is trained.

    Args:
        model: A model class of `deel_seg`.
        temperature: Of the cross-entropy.
        learning_rate: Of AdamW.
        epochs: Epochs.
    """

    model: str
    temperature: float
    learning_rate: float
    epochs: int


@dataclass(frozen=True)
class Runway:
    """Scenes, networks, budgets and attacks.

    Args:
        networks: By name of their run.
        data: Name of the data set; `"folder"` for images and masks of one's own.
        options: The data set's own options, such as `num_classes` of `"folder"`.
        class_id: The class that is to vanish.
        test_split: Split that is attacked.
        size: Height and width.
        config: Config of all networks.
        images: How many of the split are attacked, from the first on.
        batch_size: How many at a time; each batch is a part that is kept.
        eps: The slides' budget, in l2, of images in [0, 1].
        reference_size: Height and width at which `eps` changes a pixel as much, in the mean, as
            a second, scaled budget does here. The slides do not say theirs.
        steps: Gradients of each attack.
        restarts: Attacks from random points.
        seed: Of trainings and attacks.
    """

    networks: Mapping[str, Network]
    data: str = "runway"
    options: Mapping[str, Any] = field(default_factory=dict)
    class_id: int = 1
    test_split: str = "test"
    size: tuple[int, int] = (64, 64)
    config: str | Mapping[str, Any] = field(default_factory=lambda: CONFIG)
    images: int = 64
    batch_size: int = 16
    eps: float = 1.0
    reference_size: tuple[int, int] = (256, 256)
    steps: int = 40
    restarts: int = 1
    seed: int = 0

    @property
    def budgets(self) -> list[float]:
        """The budget that has the same mean change of a pixel, and the slides' own."""
        height, width = self.size
        pixels = self.reference_size[0] * self.reference_size[1]
        scaled = self.eps * (height * width / pixels) ** 0.5
        return sorted({scaled, self.eps})

    def attacks(self, temperature: float) -> list[Attack]:
        """Every attack; of each image the best counts."""
        steps = self.steps
        fixed: list[Attack] = [
            APGD(steps=steps, loss="masked_crossentropy", temperature=temperature),
            APGD(steps=steps, loss="margin"),
            PGD(steps=steps, loss=Boundary(0.25)),
            PGD(steps=steps, loss=Boundary(0.06)),
        ]
        return fixed + [PGD(steps=steps, loss="margin", random_start=True)] * self.restarts

    def arguments(self, run: str) -> list[str]:
        """Arguments of examples/train.py for one of the networks."""
        network = self.networks[run]
        given = {
            "data": self.data,
            "options": json.dumps(dict(self.options)),
            "test-split": self.test_split,
            "size": [str(side) for side in self.size],
            "augmentation": json.dumps({"crop_scale": [0.8, 1.0], "rotation": 2.0}),
            "model": network.model,
            "config": self.config if isinstance(self.config, str) else json.dumps(self.config),
            "temperature": f"{network.temperature:g}",
            "learning-rate": f"{network.learning_rate:g}",
            "epochs": str(network.epochs),
            "eps": [f"{eps:g}" for eps in self.budgets],
            "monitor-eps": f"{self.budgets[0]:g}",
            "seed": str(self.seed),
        }
        found = []
        for name, value in given.items():
            found += [f"--{name}", *([value] if isinstance(value, str) else value)]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return json.loads(json.dumps(asdict(self)))


def _networks(lipschitz_epochs: int, standard_epochs: int) -> dict[str, Network]:
    found = {}
    for name in ("FCN", "UNet"):
        run = f"runway_{name.lower()}"
        found[f"{run}_standard"] = Network(name, 1.0, 1e-3, standard_epochs)
        for kind, temperature in TEMPERATURES:
            found[f"{run}_lipschitz_{kind}"] = Network(
                f"Lip{name}", temperature, 5e-3, lipschitz_epochs
            )
    return found


FULL = Runway(
    _networks(lipschitz_epochs=100, standard_epochs=100), config="S", size=(256, 256),
    images=128, steps=200, restarts=3,
)  # fmt: skip
SMALL = Runway(_networks(lipschitz_epochs=20, standard_epochs=16))
TOY = Runway(
    _networks(1, 1), options={"num_images": 8}, size=(16, 16),
    config={"widths": [4, 8], "convolutions": 1}, images=4, batch_size=2, steps=3,
)  # fmt: skip
