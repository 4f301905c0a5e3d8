"""Trains a segmentation network on any data set, reports its certificates, and can be resumed.

    python examples/train.py --data camvid --root DIR --size 120 160 --config S --out runs/camvid_s

Optimiser and schedule are the paper's (appendix F): AdamW, weight decay 1e-4, cosine to 1e-6. The
learning rate is 5e-3, better than the paper's 1e-3 for layers kept on the manifold. Called again
with the same arguments after it was stopped, the run goes on from its last complete epoch, on the
batches that it would have seen. On several devices it is the same run, see docs/devices.md; the
batch is that of all of them together. The output folder then holds

    arguments.json   what was asked for
    last.keras       model and optimiser after the last epoch
    best.keras       the epoch with the best monitored value on the validation split
    history.csv      one row an epoch
    results.json     the best model's metrics and certificates on the test split
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import time
from pathlib import Path
from typing import Any

import keras

import deel_seg
from deel_seg.certificates import CRPA, CRS, PixelAccuracy, StabilityRadius
from deel_seg.data import Augmentation
from deel_seg.losses import HKR, CosineSimilarity, TemperatureCrossentropy

# On other devices, or in parts, it is the same run.
PLACES = ("out", "strategy", "remat_parts")
STRATEGIES = ("none", "mirrored", "multi_worker", "data_parallel")
TEST_SPLITS = {"cityscapes": "val"}  # the labels of its test split are not public


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", default="shapes", help="data set name, see deel_seg.data.load")
    add("--root", help="folder of the data set")
    add("--options", type=json.loads, default={}, help="JSON with the data set's own options")
    add("--size", type=int, nargs=2, default=(64, 64), metavar=("HEIGHT", "WIDTH"))
    add("--train-split", default="train")
    add("--validation-split", help='none if "", by default val where there is one')
    add("--test-split", help="by default test (val for cityscapes)")
    add("--model", default="LipDeepLabV3", help="a model class of deel_seg")
    add("--config", default="S", help="name of a config, or JSON with its values")
    add("--model-options", type=json.loads, default={}, help="JSON, other arguments of the model")
    add("--loss", choices=("crossentropy", "cosine", "hkr"), default="crossentropy")
    add("--temperature", type=float, default=20.0, help="of the crossentropy")
    add("--alpha", type=float, default=10.0, help="weight of the hinge in hkr")
    add("--min-margin", type=float, default=0.1, help="of the hinge in hkr")
    add("--epochs", type=int, default=40)
    add("--batch-size", type=int, default=8)
    add("--learning-rate", type=float, default=5e-3)
    add("--weight-decay", type=float, default=1e-4)
    add("--augmentation", type=json.loads, default={}, help="JSON with values of Augmentation")
    add("--noise", type=float, default=0.0, help="on training images, for randomized smoothing")
    add("--eps", type=float, nargs="+", default=[0.05, 0.1, 0.25], help="budgets to report")
    add("--monitor-eps", type=float, default=0.1, help="budget of the CRPA seen in training")
    add("--seed", type=int, default=0)
    add("--dtype", default="float32", help="dtype policy, such as mixed_bfloat16")
    add("--jit-compile", action="store_true", help="use XLA on a processor too, where it is slower")
    add("--remat-parts", type=int, default=1, help="train in less memory, see LipschitzModel")
    add("--strategy", choices=STRATEGIES, default="none", help="over several devices, or machines")
    add("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.jit_compile and arguments.strategy in ("mirrored", "multi_worker"):
        parser.error(f"--jit-compile: XLA takes no step of --strategy {arguments.strategy}")
    return arguments


class Team:
    """Who trains this model together: devices, and the workers of a cluster.

    Made before anything is computed, as TensorFlow wants it of the workers.

    Args:
        name: One of `STRATEGIES`: TensorFlow's mirrored strategies over all devices of this
            machine, or over the workers that the environment variable TF_CONFIG tells of; or, on
            JAX, `keras.distribution.DataParallel`.
    """

    def __init__(self, name: str) -> None:
        self.strategy: Any = None
        self.is_chief = True
        if name == "data_parallel":
            keras.distribution.set_distribution(keras.distribution.DataParallel())
        elif name != "none":
            import tensorflow as tf

            if name == "mirrored":
                self.strategy = tf.distribute.MirroredStrategy(keras.distribution.list_devices())
            else:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
                self.is_chief = bool(self.strategy.extended.should_checkpoint)

    def scope(self) -> Any:
        """Where models, optimisers and metrics are made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def wait(self) -> None:
        """Returns once every worker has come here."""
        if self.strategy:
            self.strategy.reduce("SUM", self.strategy.run(lambda: keras.ops.ones(())), axis=None)


class EpochSeconds(keras.callbacks.Callback):
    """Logs the seconds of training of each epoch, without validation and saving."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.start = time.perf_counter()
        self.seconds = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds = time.perf_counter() - self.start

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["seconds"] = self.seconds


class SaveLast(keras.callbacks.Callback):
    """Saves model and optimiser after each epoch; a kill while saving leaves the file before."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        partial = self.path.with_name("partial.keras")
        self.model.save(partial)
        partial.replace(self.path)


def build_loss(arguments: argparse.Namespace, info: Any) -> keras.losses.Loss:
    """The loss asked for."""
    common = {"ignore_class": info.ignore_class}
    if arguments.loss == "cosine":
        return CosineSimilarity(**common)
    if arguments.loss == "hkr":
        return HKR(arguments.alpha, arguments.min_margin, **common)
    return TemperatureCrossentropy(arguments.temperature, **common)


def build(arguments: argparse.Namespace, info: Any, steps: int) -> keras.Model:
    """A compiled model."""
    config = arguments.config
    values = json.loads(config) if config.startswith("{") else config
    model = getattr(deel_seg, arguments.model)(
        values, num_classes=info.num_classes, dtype=arguments.dtype, **arguments.model_options
    )
    common = {"ignore_class": info.ignore_class}
    metrics: list[keras.metrics.Metric] = [PixelAccuracy(**common)]
    if isinstance(model, deel_seg.LipschitzModel):
        metrics.append(CRPA(arguments.monitor_eps, **common))
    rate = arguments.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(
        rate, arguments.epochs * steps, alpha=min(1.0, 1e-6 / rate)
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=arguments.weight_decay),
        build_loss(arguments, info),
        metrics=metrics,
        jit_compile=arguments.jit_compile or "auto",
    )
    return model


def claim_folder(arguments: argparse.Namespace) -> None:
    """Writes the arguments down, or refuses a folder that holds a run with others."""
    wanted = {key: value for key, value in vars(arguments).items() if key not in PLACES}
    wanted = json.loads(json.dumps(wanted))
    path = arguments.out / "arguments.json"
    if path.exists():
        found = json.loads(path.read_text())
        if found != wanted:
            changed = sorted(key for key in wanted if wanted[key] != found.get(key))
            raise SystemExit(f"{arguments.out} holds a run with other arguments: {changed}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted, indent=1) + "\n")


def rows_before(path: Path, epoch: int, cut: bool) -> list[dict[str, str]]:
    """The log's epochs that `last.keras` knows of; others are cut off if asked for."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        names, rows = list(reader.fieldnames or []), list(reader)
    rows = [row for row in rows if int(row["epoch"]) < epoch]
    if not cut:
        return rows
    if not rows:
        path.unlink()
        return []
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def train(arguments: argparse.Namespace, info: Any, splits: dict[str, str], team: Team) -> None:
    """Trains up to the last epoch, from where the folder's run stands."""
    source = {"root": arguments.root, "batch_size": arguments.batch_size, **arguments.options}
    steps = deel_seg.data.steps_per_epoch(arguments.data, splits["train"], **source)
    last = arguments.out / "last.keras"
    with team.scope():
        model = keras.models.load_model(last) if last.exists() else build(arguments, info, steps)
    if isinstance(model, deel_seg.LipschitzModel):
        model.remat_parts = arguments.remat_parts
    elif arguments.remat_parts != 1:
        raise SystemExit(f"--remat-parts is of Lipschitz networks. Received: {arguments.model}")
    epoch = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // steps
    if epoch:
        print(f"Going on after epoch {epoch} of {arguments.epochs}.")
    history = rows_before(arguments.out / "history.csv", epoch, cut=team.is_chief)
    if epoch >= arguments.epochs:
        return
    augmentation = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in arguments.augmentation.items()
    }
    stream = deel_seg.data.load(
        arguments.data, splits["train"], arguments.size, **source,
        augment=Augmentation(**{"noise": arguments.noise, **augmentation}), seed=arguments.seed,
        repeat=True, initial_epoch=epoch,
    )  # fmt: skip
    validation = None
    if splits["validation"]:
        validation = deel_seg.data.load(
            arguments.data, splits["validation"], arguments.size, **source
        )
    certified = isinstance(model, deel_seg.LipschitzModel)
    monitor = ("val_" if validation else "") + ("crpa" if certified else "pixel_accuracy")
    callbacks = [EpochSeconds(), keras.callbacks.TerminateOnNaN()]
    if team.is_chief:
        callbacks += writers(arguments.out, monitor, history)
    model.fit(
        stream,
        steps_per_epoch=steps,
        validation_data=validation,
        initial_epoch=epoch,
        epochs=arguments.epochs,
        shuffle=False,  # the stream is shuffled already
        callbacks=callbacks,
    )


def writers(out: Path, monitor: str, history: list[dict[str, str]]) -> list[Any]:
    """Callbacks that write the run down."""
    best = max((float(row[monitor]) for row in history), default=None)
    return [
        keras.callbacks.CSVLogger(out / "history.csv", append=bool(history)),
        keras.callbacks.ModelCheckpoint(
            out / "best.keras", monitor, mode="max",
            save_best_only=True, initial_value_threshold=best,
        ),
        SaveLast(out / "last.keras"),
    ]  # fmt: skip


def evaluate(
    arguments: argparse.Namespace, info: Any, splits: dict[str, str], team: Team
) -> dict[str, Any]:
    """Metrics and certificates of the best model on the test split."""
    with team.scope():
        model = keras.models.load_model(arguments.out / "best.keras", compile=False)
        compile_for_test(model, arguments, info)
    test = deel_seg.data.load(
        arguments.data, splits["test"], arguments.size, root=arguments.root,
        batch_size=arguments.batch_size, **arguments.options,
    )  # fmt: skip
    values = model.evaluate(test, return_dict=True)
    with (arguments.out / "history.csv").open(newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    constant = model.lipschitz_constant if isinstance(model, deel_seg.LipschitzModel) else None
    return {
        "arguments": json.loads((arguments.out / "arguments.json").read_text()),
        "split": splits["test"],
        "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        "lipschitz_constant": constant,
        "epochs": len(seconds),
        "training_seconds": sum(seconds),
        "metrics": values,
    }


def compile_for_test(model: keras.Model, arguments: argparse.Namespace, info: Any) -> None:
    """Gives a model the metrics and certificates of the test."""
    common = {"ignore_class": info.ignore_class}
    metrics: list[keras.metrics.Metric] = [PixelAccuracy(**common)]
    if info.num_classes > 1:
        metrics.append(
            keras.metrics.MeanIoU(info.num_classes, sparse_y_pred=False, name="mean_iou", **common)
        )
    if isinstance(model, deel_seg.LipschitzModel):
        metrics += [StabilityRadius(0.5, **common)]
        for eps in arguments.eps:
            suffix = f"{eps:g}".replace(".", "_")  # Keras' format strings take no dot in a name
            metrics += [
                CRPA(eps, name=f"crpa@{suffix}", **common),
                CRS(eps, name=f"crs@{suffix}", **common),
            ]
    model.compile(
        loss=build_loss(arguments, info),
        metrics=metrics,
        jit_compile=arguments.jit_compile or "auto",
    )


def main() -> None:
    """Trains, evaluates, and writes the results down."""
    arguments = parse_arguments()
    team = Team(arguments.strategy)
    info = deel_seg.data.info(arguments.data, **arguments.options)
    validation = "val" if "val" in info.splits else ""
    if arguments.validation_split is not None:
        validation = arguments.validation_split
    splits = {
        "train": arguments.train_split,
        "validation": validation,
        "test": arguments.test_split or TEST_SPLITS.get(arguments.data, "test"),
    }
    if team.is_chief:
        claim_folder(arguments)
    team.wait()
    if not team.is_chief:  # Compares its arguments with the chief's.
        claim_folder(arguments)
    keras.utils.set_random_seed(arguments.seed)
    train(arguments, info, splits, team)
    team.wait()  # The chief may still be saving what all of them read now.
    results = evaluate(arguments, info, splits, team)
    if team.is_chief:
        (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        print(json.dumps(results["metrics"], indent=1))


if __name__ == "__main__":
    main()
