"""`load`: a data set by name, as batches of images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deel_seg._checks import check_integer, check_pair, received
from deel_seg.data.augmentation import Augmentation
from deel_seg.data.cache import batch_reader
from deel_seg.data.registry import open_split

_TRAINING_SPLITS = ("train", "trainval")


def load(
    name: str,
    split: str,
    size: int | tuple[int, int],
    *,
    root: str | Path | None = None,
    batch_size: int = 8,
    augment: bool | Augmentation = False,
    shuffle: bool | None = None,
    seed: int = 0,
    repeat: bool = False,
    initial_epoch: int = 0,
    drop_remainder: bool = False,
    cache: bool | str | Path | None = None,
    **options: Any,
) -> Any:
    """Loads a split of a data set as a `tf.data.Dataset`.

    All that is random, the order and the augmentation, is drawn from `(seed, epoch)`: the
    same arguments give the same batches, and each epoch differs from the others.

    - `repeat=False` gives one epoch each time the dataset is iterated: the first time epoch
      `initial_epoch`, the second time the next one, and so on.
    - `repeat=True` gives an endless stream of epochs from `initial_epoch` on, for training
      that must go on after a stop exactly as if it had not stopped:

          steps = deel_seg.data.steps_per_epoch("camvid", "train", batch_size=8)
          stream = deel_seg.data.load(
              "camvid", "train", 128, augment=True, repeat=True, initial_epoch=epoch)
          model.fit(
              stream, steps_per_epoch=steps, initial_epoch=epoch, epochs=100, shuffle=False)

      Every image comes once in an epoch, whose last batch may be smaller.

    Args:
        name: `"shapes"` or `"runway"` (drawn, need no files), `"camvid"`, `"oxford_pets"`,
            `"kvasir"`, `"cityscapes"` or `"folder"`.
        split: One of `info(name).splits`.
        size: `(height, width)` of the result, or one number for both. Files of another size
            are resized whatever their aspect: images bilinearly with antialiasing, labels by
            the nearest pixel.
        root: The data set's folder. By default its folder, named like the data set, in the
            one the environment variable `DEEL_SEG_DATA` names; `oxford_pets` is otherwise
            taken from tensorflow-datasets.
        batch_size: Images in a batch.
        augment: `True` for the defaults of `Augmentation`, or one of your own.
        shuffle: Whether the order is random; by default for `"train"` and `"trainval"`.
        seed: Integer from 0 on.
        repeat: Whether the stream is endless.
        initial_epoch: Number of the first epoch.
        drop_remainder: Whether to leave out a last batch smaller than `batch_size`.
        cache: `True` keeps decoded pixels in memory (4 bytes a pixel), `False` decodes
            them in each epoch; by default they are kept up to 1 GiB. A path is a folder
            where they are kept in a file from one run to the next.
        **options: The data set's own: `num_images` and `content_seed` of `shapes` and
            `runway`, `border` (`"class"`, `"ignore"`, `"pet"`) of `oxford_pets`, `num_classes`
            (required), `class_names`, `mapping` and `palette_indices` of `folder`.

    Returns:
        A `tf.data.Dataset` of batches `(images, labels)`: float32 `(batch, height, width, 3)`
        in `[0, 1]` and int32 `(batch, height, width)`, where 255 is void.

    Raises:
        ValueError: If an argument, a list or a file is not as expected.
        FileNotFoundError: If the folder or files of the data set are missing.
        ImportError: If TensorFlow is not installed.
        tensorflow.errors.OpError: While iterating, if a file cannot be read or is not as
            expected; the message names it and what was expected.

    Example:
    >>> from deel_seg.data import load
    >>> dataset = load("shapes", "val", (32, 48), batch_size=16)
    >>> images, labels = next(iter(dataset))
    >>> tuple(images.shape), tuple(labels.shape), len(dataset)
    ((16, 32, 48, 3), (16, 32, 48), 4)
    """
    try:
        from deel_seg.data import pipeline
    except ImportError as error:
        raise ImportError(
            "deel_seg.data.load returns a tf.data.Dataset and needs TensorFlow: "
            "pip install tensorflow."
        ) from error
    if not isinstance(augment, (bool, Augmentation)):
        raise ValueError(
            f"`augment` must be a bool or an Augmentation. {received(augment=augment)}"
        )
    height_width = check_pair("size", size)
    examples = open_split(name, split, height_width, root, options)
    return pipeline.batches(
        batch_reader(examples, height_width, cache),
        count=len(examples),
        size=height_width,
        batch_size=check_integer("batch_size", batch_size, minimum=1),
        steps=_steps(len(examples), batch_size, drop_remainder),
        shuffle=split in _TRAINING_SPLITS if shuffle is None else shuffle,
        augmentation=Augmentation() if augment is True else augment or None,
        seed=check_integer("seed", seed, minimum=0),
        repeat=repeat,
        initial_epoch=check_integer("initial_epoch", initial_epoch, minimum=0),
    )


def steps_per_epoch(
    name: str,
    split: str,
    *,
    root: str | Path | None = None,
    batch_size: int = 8,
    drop_remainder: bool = False,
    **options: Any,
) -> int:
    """Returns the number of batches in one epoch of `load` with the same arguments.

    Example:
    >>> from deel_seg.data import steps_per_epoch
    >>> steps_per_epoch("shapes", "train", batch_size=100)
    6
    """
    # The size does not matter: no image is read.
    return _steps(len(open_split(name, split, (1, 1), root, options)), batch_size, drop_remainder)


def _steps(count: int, batch_size: int, drop_remainder: bool) -> int:
    check_integer("batch_size", batch_size, minimum=1)
    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    if steps == 0:
        raise ValueError(
            f"`drop_remainder` leaves no batch of {count} images. {received(batch_size=batch_size)}"
        )
    return steps
