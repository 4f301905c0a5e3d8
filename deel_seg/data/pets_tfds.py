"""Oxford-IIIT Pet out of tensorflow-datasets, for those who have no files of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

from deel_seg.data.examples import Examples, Pixels
from deel_seg.data.read import LabelDecoder, join

_NAME = "oxford_iiit_pet"
# tensorflow-datasets calls the official trainval list "train".
_SPLITS = {"trainval": "train", "test": "test"}


def examples_of(
    official_split: str,
    size: tuple[int, int],
    decoder: LabelDecoder,
    part: Callable[[int], Sequence[int]],
    *,
    reason: str,
) -> Examples:
    """Opens a split, downloading it when it is not on disk yet.

    Args:
        official_split: `"trainval"` or `"test"`.
        size: `(height, width)` the pictures are read at.
        decoder: What the trimaps mean.
        part: Returns which images to use, given how many there are.
        reason: Why no files were found, for the message.

    Raises:
        ImportError: If tensorflow-datasets is not installed; the message says both ways.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"{reason} Or install tensorflow-datasets, which downloads them: "
            "pip install 'deel_seg[datasets]'."
        ) from error
    source = tfds.data_source(_NAME, split=_SPLITS[official_split])
    chosen = part(len(source))

    def read(index: int) -> Pixels:
        example = source[chosen[index]]
        name = f"{_NAME}/{official_split}[{chosen[index]}]"
        image = Image.fromarray(example["image"])
        label = Image.fromarray(example["segmentation_mask"][..., 0])
        return join(image, label, size, decoder, sources=(name, f"{name} (segmentation_mask)"))

    names = tuple(f"{official_split}-{index:04d}" for index in chosen)
    return Examples(names, read, repr((_NAME, official_split, names, size, decoder)))
