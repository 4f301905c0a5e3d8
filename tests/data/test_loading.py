from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from deel_seg.data import Augmentation, load, shapes, steps_per_epoch  # noqa: E402
from tests.data.files import labels_of, write_camvid, write_picture  # noqa: E402

STEMS = [f"frame{number}" for number in range(7)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_camvid(tmp_path, STEMS, split="train")
    return tmp_path


def numbers(dataset: object) -> list[list[int]]:
    """Which image each batch holds: image `k` of `write_camvid` has colour `k`."""
    return [np.rint(images.numpy()[:, 0, 0, 0] * 255).astype(int).tolist() for images, _ in dataset]


def arrays(dataset: object, steps: int) -> list[np.ndarray]:
    """Image, label, image, label, ... of the first batches."""
    batches = itertools.islice(dataset, steps)
    return [tensor.numpy() for batch in batches for tensor in batch]


def equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return len(first) == len(second) > 0 and all(map(np.array_equal, first, second))


def test_batches_are_the_pixels_over_255_and_the_labels() -> None:
    dataset = load("shapes", "val", (16, 24), batch_size=3, num_images=4)
    assert len(dataset) == 2
    assert dataset.element_spec[0].shape.as_list() == [None, 16, 24, 3]
    assert (dataset.element_spec[0].dtype, dataset.element_spec[1].dtype) == (tf.float32, tf.int32)
    images, labels = (
        np.concatenate(parts) for parts in zip(*dataset.as_numpy_iterator(), strict=True)
    )
    for index in range(4):
        image, label = shapes.render(index, (16, 24), 0, "val")
        assert np.array_equal(images[index], image.astype(np.float32) / np.float32(255))
        assert np.array_equal(labels[index], label)


def test_evaluation_keeps_the_order_and_every_image(root: Path) -> None:
    dataset = load("camvid", "train", (4, 6), root=root, batch_size=3, shuffle=False)
    assert numbers(dataset) == numbers(dataset) == [[0, 1, 2], [3, 4, 5], [6]]


def test_training_shuffles_every_image_into_each_epoch(root: Path) -> None:
    dataset = load("camvid", "train", (4, 6), root=root, batch_size=3)
    epochs = [numbers(dataset) for _ in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [3, 3, 1]
        assert sorted(itertools.chain(*epoch)) == list(range(7))


def test_the_stream_is_the_epochs_one_after_the_other(root: Path) -> None:
    options = {"root": root, "batch_size": 3, "seed": 5}
    steps = steps_per_epoch("camvid", "train", root=root, batch_size=3)
    assert steps == 3
    dataset = load("camvid", "train", (4, 6), **options)
    stream = load("camvid", "train", (4, 6), repeat=True, **options)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    assert numbers(stream.take(9)) == numbers(dataset) + numbers(dataset) + numbers(dataset)


@pytest.mark.parametrize("cache", [True, False, "folder"])
def test_a_stream_resumes_at_any_epoch(cache: object, tmp_path: Path) -> None:
    options = {
        "batch_size": 3,
        "augment": Augmentation(brightness=0.1, contrast=0.1, saturation=0.1),
        "repeat": True,
        "num_images": 7,
        "cache": tmp_path if cache == "folder" else cache,
    }
    whole = arrays(load("shapes", "train", 16, **options), 12)
    resumed = arrays(load("shapes", "train", 16, initial_epoch=2, **options), 6)
    assert equal(whole[2 * 2 * 3 :], resumed)
    assert not equal(whole[: 2 * 6], resumed)


def test_seeds_give_the_same_or_other_batches() -> None:
    def first_batches(seed: int) -> list[np.ndarray]:
        dataset = load("shapes", "train", 16, augment=True, seed=seed, num_images=20)
        return arrays(dataset, 3)

    assert equal(first_batches(1), first_batches(1))
    assert not equal(first_batches(1), first_batches(2))


def test_augmentation_differs_between_epochs_and_batches() -> None:
    options = {"num_images": 1, "batch_size": 1, "augment": True, "repeat": True}
    found = arrays(load("shapes", "train", 16, **options), 6)[::2]
    assert len({image.tobytes() for image in found}) == 6
    still = load("shapes", "train", 16, num_images=2, batch_size=1, shuffle=False, augment=True)
    first, _, second, _ = arrays(still, 2)
    assert not np.array_equal(first, second)


def test_a_kept_remainder_is_the_default(root: Path) -> None:
    options = {"root": root, "batch_size": 3, "drop_remainder": True}
    assert steps_per_epoch("camvid", "train", **options) == 2
    dataset = load("camvid", "train", (4, 6), **options)
    assert [len(batch) for batch in numbers(dataset)] == [3, 3]
    with pytest.raises(ValueError, match="`drop_remainder` leaves no batch of 7 images"):
        load("camvid", "train", 4, root=root, batch_size=8, drop_remainder=True)


def test_fit_goes_on_as_if_it_had_not_stopped() -> None:
    def trained(epochs: list[tuple[int, int]]) -> np.ndarray:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 1)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
        model.compile(keras.optimizers.SGD(0.5), loss)
        steps = steps_per_epoch("shapes", "train", batch_size=4, num_images=10)
        for start, stop in epochs:
            options = {"batch_size": 4, "num_images": 10, "augment": True, "repeat": True}
            stream = load("shapes", "train", 8, initial_epoch=start, **options)
            given = {"steps_per_epoch": steps, "shuffle": False, "verbose": 0}
            model.fit(stream, initial_epoch=start, epochs=stop, **given)
        return model.get_weights()[0]

    whole = trained([(0, 4)])
    # The same batches in the same order, on one machine: the same operations, to the bit.
    assert np.array_equal(whole, trained([(0, 2), (2, 4)]))
    assert not np.array_equal(whole, trained([(0, 2), (0, 2)]))


def test_an_error_while_iterating_names_the_file(root: Path) -> None:
    bad = write_picture(root / "trainannot" / "frame3.png", labels_of((0, 12)))
    dataset = load("camvid", "train", (4, 6), root=root)
    message = re.escape(f"{bad} holds 12; expected one channel of class numbers 0-11, 255")
    with pytest.raises(tf.errors.OpError, match=message):
        list(dataset)


def test_an_error_up_front_names_the_file(root: Path) -> None:
    (root / "train" / "frame3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 file \(.*frame3\.png\)"):
        load("camvid", "train", (4, 6), root=root)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "voc"}, "`name` must be one of"),
        ({"split": "training"}, "must be one of 'train', 'val', 'test'"),
        ({"size": 0}, "`size` must be at least 1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"seed": -1}, "`seed` must be at least 0"),
        ({"initial_epoch": -1}, "`initial_epoch` must be at least 0"),
        ({"augment": "strong"}, "`augment` must be a bool or an Augmentation"),
        ({"num_images": 0}, "`num_images` must be at least 1"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(**{"name": "shapes", "split": "val", "size": 8, **arguments})


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import deel_seg.data
assert deel_seg.data.info("shapes").num_classes == 5
assert deel_seg.data.shapes.render(0, 8)[0].shape == (8, 8, 3)
try:
    deel_seg.data.load("shapes", "val", 8)
except ImportError as error:
    print(error)
"""


@pytest.mark.slow
def test_only_load_needs_tensorflow() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "needs TensorFlow" in result.stdout
