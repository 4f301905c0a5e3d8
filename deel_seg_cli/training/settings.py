"""What a training is, as plain data whose values are checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import keras

import deel_seg
from deel_seg._checks import check_choice, check_integer, check_pair, check_real, received
from deel_seg.data import Augmentation, DatasetInfo
from deel_seg.data.noise import with_noise
from deel_seg.data.registry import DATASETS
from deel_seg_cli.training.team import STRATEGIES

MODELS = ("LipDeepLabV3", "LipUNet", "LipFCN", "DeepLabV3", "UNet", "FCN")
LOSSES = ("crossentropy", "cosine", "hkr")
TEST_SPLITS = {"cityscapes": "val"}  # The labels of its test split are not public.
# On other devices, or in parts, it is the same run.
PLACES = ("strategy", "remat_parts")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What a training is.

    Attributes:
        data: Data set, as `deel_seg.data.load` names it.
        root: Its folder; by default below DEEL_SEG_DATA.
        options: The data set's own options.
        size: Height and width that images are brought to.
        train_split: Split to train on.
        validation_split: Split to measure after each epoch; by default `val` where there is one,
            and none if empty.
        test_split: Split of the results; by default `test`, `val` for cityscapes.
        model: Class of the network.
        config: Name of its config, or the config's values, also as JSON.
        model_options: Other arguments of the network.
        loss: `crossentropy`, `cosine` or `hkr`.
        temperature: Of the crossentropy.
        alpha: Weight of the hinge in hkr.
        min_margin: Of the hinge in hkr.
        epochs: How many.
        batch_size: Of all devices together.
        learning_rate: At the beginning of the cosine.
        weight_decay: Of AdamW.
        augmentation: Values of `deel_seg.data.Augmentation`.
        noise: On images to train and to validate on, for randomized smoothing.
        eps: Budgets to report.
        monitor_eps: Budget of the CRPA seen in training.
        seed: Of weights, order and augmentation.
        dtype: Dtype policy.
        jit_compile: Whether to use XLA on a processor too, where it is slower.
        strategy: Over several devices, or machines.
        remat_parts: More parts train in less memory, see `LipschitzModel`.

    Raises:
        ValueError: If a value is not as expected; the message names it.
    """

    data: str = "shapes"
    root: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (64, 64)
    train_split: str = "train"
    validation_split: str | None = None
    test_split: str | None = None
    model: str = "LipDeepLabV3"
    config: Any = "S"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "crossentropy"
    temperature: float = 20.0
    alpha: float = 10.0
    min_margin: float = 0.1
    epochs: int = 40
    batch_size: int = 8
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    noise: float = 0.0
    eps: tuple[float, ...] = (0.05, 0.1, 0.25)
    monitor_eps: float = 0.1
    seed: int = 0
    dtype: str = "float32"
    jit_compile: bool = False
    strategy: str = "none"
    remat_parts: int = 1

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_choices()
        self._check_data()
        getattr(deel_seg, self.model).architecture.config(self.config_values())
        self.augmentation_of_images()
        if self.model_options:
            self._check_model_options()

    def _check_model_options(self) -> None:
        """Makes the network: what it refuses is refused before anything is begun."""
        try:
            self.network()
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`model_options` must hold arguments of {self.model}: {error} "
                + received(model_options=dict(self.model_options))
            ) from error

    def network(self) -> keras.Model:
        """The network, not trained."""
        return getattr(deel_seg, self.model)(
            self.config_values(), num_classes=self.info().num_classes, dtype=self.dtype,
            **self.model_options,
        )  # fmt: skip

    def _check_numbers(self) -> None:
        object.__setattr__(self, "size", check_pair("size", _as_tuple(self.size)))
        for name in ("epochs", "batch_size", "remat_parts"):
            check_integer(name, getattr(self, name), minimum=1)
        check_integer("seed", self.seed, minimum=0)
        for name in ("temperature", "learning_rate"):
            check_real(name, getattr(self, name), minimum=0, exclusive_minimum=True)
        for name in ("alpha", "min_margin", "weight_decay", "noise", "monitor_eps"):
            check_real(name, getattr(self, name), minimum=0)
        if not isinstance(self.eps, (tuple, list)):
            raise ValueError(f"`eps` must be a list of budgets. {received(eps=self.eps)}")
        budgets = tuple(check_real("eps", budget, minimum=0) for budget in self.eps)
        object.__setattr__(self, "eps", budgets)

    def _check_choices(self) -> None:
        check_choice("model", self.model, MODELS)
        check_choice("loss", self.loss, LOSSES)
        check_choice("strategy", self.strategy, STRATEGIES)
        _check_kind("jit_compile", self.jit_compile, bool, "true or false")
        _check_kind("dtype", self.dtype, str, "a string")
        for name in ("options", "model_options", "augmentation"):
            _check_kind(name, getattr(self, name), Mapping, "a table")
        if self.jit_compile and self.strategy in ("mirrored", "multi_worker"):
            raise ValueError(
                "`jit_compile` must be off: XLA takes no step of several replicas. "
                + received(jit_compile=True, strategy=self.strategy)
            )
        if self.remat_parts != 1 and not self.model.startswith("Lip"):
            raise ValueError(
                "`remat_parts` is of Lipschitz networks. "
                + received(remat_parts=self.remat_parts, model=self.model)
            )

    def _check_data(self) -> None:
        for name in ("root", "validation_split", "test_split"):
            if getattr(self, name) is not None:
                _check_kind(name, getattr(self, name), str, "a string")
        check_choice("data", self.data, tuple(DATASETS))
        known = self.info().splits
        for name, split in self.splits().items():
            if known and split:
                check_choice(f"{name}_split", split, known)

    def info(self) -> DatasetInfo:
        """Classes, colours and splits of the data set."""
        return deel_seg.data.info(self.data, **self.options)

    def splits(self) -> dict[str, str]:
        """The splits to train on, to validate on (empty for none) and to test on."""
        validation = self.validation_split
        if validation is None:
            validation = "val" if "val" in self.info().splits else ""
        return {
            "train": self.train_split,
            "validation": validation,
            "test": self.test_split or TEST_SPLITS.get(self.data, "test"),
        }

    def source(self) -> dict[str, Any]:
        """What `deel_seg.data.load` takes for every split."""
        return {"root": self.root, "batch_size": self.batch_size, **self.options}

    def training_stream(self, epoch: int) -> Any:
        """Endless augmented batches of the split to train on, as they are from an epoch on."""
        return deel_seg.data.load(
            self.data, self.train_split, self.size, **self.source(),
            augment=self.augmentation_of_images(), seed=self.seed,
            repeat=True, initial_epoch=epoch,
        )  # fmt: skip

    def validation_stream(self) -> Any:
        """What epochs are compared on, None for nothing.

        With the noise that images are trained with, the same each time: a network that is to be
        smoothed is as good as it is under noise.
        """
        split = self.splits()["validation"]
        if not split:
            return None
        images = deel_seg.data.load(self.data, split, self.size, shuffle=False, **self.source())
        deviation = self.augmentation_of_images().noise
        return with_noise(images, deviation, seed=self.seed) if deviation else images

    def config_values(self) -> Any:
        """The config: a name, or its values."""
        if isinstance(self.config, str) and self.config.startswith("{"):
            return json.loads(self.config)
        return self.config

    def augmentation_of_images(self) -> Augmentation:
        """What training images go through."""
        values = {key: _as_tuple(value) for key, value in self.augmentation.items()}
        try:
            return Augmentation(**{"noise": self.noise, **values})
        except TypeError as error:
            raise ValueError(
                f"`augmentation` must hold values of deel_seg.data.Augmentation: {error}. "
                + received(augmentation=dict(self.augmentation))
            ) from error

    def arguments(self) -> dict[str, Any]:
        """What makes the run this one, as JSON has it."""
        values = {key: value for key, value in asdict(self).items() if key not in PLACES}
        return dict(json.loads(json.dumps(values)))


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_kind(name: str, value: Any, kind: type, words: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be {words}. {received(**{name: value})}")
