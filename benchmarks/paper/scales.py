"""The numbers of the paper's experiments, at three scales: its own, small, and that of a toy.

`FULL` holds what the paper says (sections 5 and F), `SMALL` what two CPU cores do in an hour, with
CamVid in place of Cityscapes, and `TOY` what tests do in seconds, on drawn shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from benchmarks.paper import runway_settings
from benchmarks.paper.runway_settings import Runway

Config = str | Mapping[str, Any]

SEED = 0  # Of trainings and experiments; what is repeated over seeds has its own.


@dataclass(frozen=True)
class Task:
    """A data set at a size, and how networks are trained on it.

    Args:
        data: Its name in `deel_seg.data.load`.
        size: Height and width.
        config: Config of the networks: a name, or values.
        epochs: Epochs of training.
        temperature: Of the cross-entropy that Lipschitz networks are trained with.
        learning_rate: Of Lipschitz networks; their twins have 1e-3, as in the paper.
        batch_size: Images of a training step.
        options: The data set's own options.
        augmentation: Values of `Augmentation`; its defaults if empty.
        validation_split: Where sigma is chosen. The training split where there is no other beside
            the test split: then no epoch is chosen by it.
        test_split: What is reported.
    """

    data: str
    size: tuple[int, int]
    config: Config
    epochs: int
    temperature: float
    learning_rate: float = 1e-3
    batch_size: int = 8
    options: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    validation_split: str = "val"
    test_split: str = "test"


@dataclass(frozen=True)
class Table1:
    """CRPA and time beside SegCertify: a row is a budget and the passes of an image.

    `batch_size` is how many noisy copies are classified at a time, here and in `Figure2`.
    """

    alpha: float = 0.001
    rows: tuple[tuple[float, int], ...] = ((0.1, 60), (0.1, 80), (0.17, 60), (0.17, 120))
    sigmas: tuple[float, ...] = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
    training_noises: tuple[float, ...] = (0.2, 0.3, 0.4)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    validation_images: int = 50
    images: int = 100
    batch_size: int = 4
    turns: int = 7


@dataclass(frozen=True)
class Figure2:
    """SegCertify on a Lipschitz network, against the number of samples."""

    eps: float = 0.1
    alpha: float = 0.01
    sigmas: tuple[float, ...] = (0.035, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3)
    samples: tuple[int, ...] = (50, 100, 200, 500, 1000, 2000, 5000)
    validation_images: int = 50
    images: int = 500
    batch_size: int = 100


@dataclass(frozen=True)
class Figure3:
    """Attacks against certificates: the paper's three, and a preset of `AttackSuite`."""

    eps: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
    images: int = 500
    steps: int = 500
    suite: str = "strong"


@dataclass(frozen=True)
class Table2:
    """Certified false negative rates, and budgets that rates take."""

    eps: tuple[float, ...] = (0.1, 0.2, 0.3)
    rates: tuple[float, ...] = (0.7, 0.85, 0.95)


@dataclass(frozen=True)
class Table3:
    """Worst IoU of a class over a data set."""

    class_name: str = "person"
    eps: tuple[float, ...] = (0.0, 0.01, 0.025, 0.05, 0.075, 0.1)


@dataclass(frozen=True)
class Figure5:
    """Temperatures."""

    temperatures: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    fraction: float = 0.5


@dataclass(frozen=True)
class Table5:
    """Training steps a second."""

    config: Config = "M1"
    size: tuple[int, int] = (128, 128)
    batch_sizes: tuple[int, ...] = (30, 100)
    repeats: int = 30


@dataclass(frozen=True)
class Pictures:
    """Figures 1, 7 and 8: how many images, the budget, and what is left of a region."""

    config: Config | None = "S"
    images: int = 3
    eps: float = 0.25
    region_eps: float = 0.1
    fraction: float = 0.9
    min_pixels: int = 100


@dataclass(frozen=True)
class EveryAttack:
    """Every attack against every certificate: images of each network, and steps of each attack.

    `suite` is a preset of `AttackSuite`, `batch_size` how many images are attacked at a time.
    """

    eps: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
    thresholds: tuple[float, ...] = (0.25, 0.5)
    images: int = 64
    steps: int = 100
    suite: str = "strong"
    batch_size: int = 2


@dataclass(frozen=True)
class Scale:
    """All numbers of one run of the paper's experiments.

    Args:
        name: What the command calls it.
        scenes: Road scenes.
        pets: Pets; its temperature is one of those of `figure_5`.
        polyps: Polyps, class 1.
    """

    name: str
    scenes: Task
    pets: Task
    polyps: Task
    table_1: Table1 = field(default_factory=Table1)
    figure_2: Figure2 = field(default_factory=Figure2)
    figure_3: Figure3 = field(default_factory=Figure3)
    table_2: Table2 = field(default_factory=Table2)
    table_3: Table3 = field(default_factory=Table3)
    figure_5: Figure5 = field(default_factory=Figure5)
    table_5: Table5 = field(default_factory=Table5)
    pictures: Pictures = field(default_factory=Pictures)
    every_attack: EveryAttack = field(default_factory=EveryAttack)
    runway: Runway = runway_settings.FULL

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks by name."""
        return {"scenes": self.scenes, "pets": self.pets, "polyps": self.polyps}

    def settings_of(self, *parts: str) -> dict[str, Any]:
        """The numbers of the tasks and of parts, such as `"table_1"`, for JSON."""
        names = {"name", *self.tasks, *parts}
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name in names}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else asdict(value)


FULL = Scale(
    name="full",
    # The labels of the test split are not public: what the paper calls test is val.
    scenes=Task(
        "cityscapes", (1024, 1024), "M2", 200, 20.0, validation_split="train", test_split="val"
    ),
    pets=Task("oxford_pets", (128, 128), "M1", 100, 5.0),
    polyps=Task("kvasir", (256, 256), "M2", 200, 5.0),
)

_LIGHT = {"crop_scale": [0.8, 1.0], "rotation": 2.0}
# S has features of 8x8 at 64x64, for which the paper's rates of 6, 12 and 18 are too far apart.
_SMALL: dict[str, Any] = {
    "config": {
        "widths": [32, 64, 128], "block": "residual", "residual_blocks": 2, "aspp_rates": [1, 2]
    },
    "learning_rate": 5e-3,
    "augmentation": _LIGHT,
}  # fmt: skip

SMALL = Scale(
    name="small",
    # On validation images 40 and 80 were level: CRPA of 65.6 and 67.1 % at eps 0.1, and of 62.4
    # and 61.8 % at 0.17.
    scenes=Task("camvid", (64, 80), epochs=24, temperature=60.0, **_SMALL),
    pets=Task("oxford_pets", (64, 64), epochs=24, temperature=20.0, **_SMALL),
    polyps=Task("kvasir", (64, 64), epochs=30, temperature=20.0, **_SMALL),
    table_1=Table1(
        training_noises=(0.15, 0.25), validation_images=24, images=64, batch_size=16,
    ),
    figure_2=Figure2(
        samples=(50, 100, 300, 1000), validation_images=8, images=24, batch_size=16
    ),
    figure_3=Figure3(eps=(0.1, 0.5, 1.0, 2.0), images=24, steps=100, suite="fast"),
    table_3=Table3(class_name="Car"),
    figure_5=Figure5(temperatures=(1.0, 5.0, 20.0, 80.0)),
    table_5=Table5(config="S", size=(64, 64), batch_sizes=(8, 32), repeats=15),
    pictures=Pictures(config=None, min_pixels=25),
    every_attack=EveryAttack(images=8, steps=30, suite="fast", batch_size=8),
    runway=runway_settings.SMALL,
)  # fmt: skip

_DRAWN: dict[str, Any] = {
    "config": {"widths": [4, 8], "convolutions": 1, "aspp_rates": [2]},
    "learning_rate": 5e-3,
    "options": {"num_images": 8},
}

TOY = Scale(
    name="toy",
    scenes=Task("shapes", (16, 16), epochs=1, temperature=20.0, **_DRAWN),
    pets=Task("shapes", (16, 16), epochs=1, temperature=20.0, **_DRAWN),
    polyps=Task("shapes", (16, 16), epochs=1, temperature=20.0, **_DRAWN),
    table_1=Table1(
        rows=((0.05, 60),), sigmas=(0.1, 0.25), training_noises=(0.25,), seeds=(0, 1),
        validation_images=2, images=4, turns=1,
    ),
    figure_2=Figure2(eps=0.05, samples=(50,), sigmas=(0.1, 0.25), validation_images=2, images=4),
    figure_3=Figure3(eps=(0.05, 0.3), images=4, steps=5, suite="fast"),
    table_3=Table3(class_name="disc"),
    figure_5=Figure5(temperatures=(5.0, 20.0)),
    table_5=Table5(
        config={"widths": [4, 8], "convolutions": 1, "aspp_rates": [2]}, size=(16, 16),
        batch_sizes=(2,), repeats=3,
    ),
    pictures=Pictures(config=None, images=1, min_pixels=4),
    every_attack=EveryAttack(eps=(0.05, 0.5), images=2, steps=3, suite="fast"),
    runway=runway_settings.TOY,
)  # fmt: skip

SCALES = {scale.name: scale for scale in (FULL, SMALL, TOY)}
