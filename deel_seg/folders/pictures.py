"""Picture files of any folder, as a network takes them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from deel_seg._checks import received
from deel_seg.data.read import DEEP_MODES, LabelDecoder

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif")
_NAMED_AT_MOST = 3
_FRAMES = "deel_seg_frames"


class UnreadablePicture(ValueError):
    """A file that is no picture, or not one that can be certified; the message says why."""


class Picture(NamedTuple):
    """What a picture file holds, and its label file.

    Attributes:
        pixels: uint8 `(height, width, channels)`.
        labels: uint8 `(height, width)`, 255 for void; None where there is no label file.
        digest: SHA-256 of the bytes of both files.
        note: What was changed on the way, in words; empty where nothing was.
    """

    pixels: np.ndarray
    labels: np.ndarray | None
    digest: str
    note: str


def find_pictures(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The picture files below a folder, by their path in it, in the order of that; or a single one.

    Raises:
        ValueError: If there is no such folder or file, or no picture in it.
    """
    base = Path(folder)
    if base.is_file() and base.suffix.lower() in SUFFIXES:
        return {base.name: base}
    if not base.is_dir():
        raise ValueError(
            f"`images` must be an existing folder, or a picture. {received(images=str(folder))}"
        )
    found = {
        path.relative_to(base).as_posix(): path
        for path in base.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(base).parts)
    }
    if not found:
        raise ValueError(
            f"`images` must hold pictures ({', '.join(SUFFIXES)}), and holds none. "
            + received(images=str(folder))
        )
    return dict(sorted(found.items()))


def find_labels(folder: str | os.PathLike[str], pictures: Mapping[str, Path]) -> dict[str, Path]:
    """The label file of each picture that has one: of its path, whatever its suffix.

    Raises:
        ValueError: If there is no such folder, no picture has a label file in it, or one has two.
    """
    base = Path(folder)
    if not base.is_dir():
        raise ValueError(f"`labels` must be an existing folder. {received(labels=str(folder))}")
    stems: dict[str, list[Path]] = {}
    for path in sorted(base.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            stem = path.relative_to(base).with_suffix("").as_posix()
            stems.setdefault(stem, []).append(path)
    found = {}
    for name in pictures:
        files = stems.get(Path(name).with_suffix("").as_posix(), [])
        if len(files) > 1:
            named = ", ".join(file.name for file in files[:_NAMED_AT_MOST])
            raise ValueError(
                f"`labels` must hold one file for each picture, and holds {named} for {name}. "
                + received(labels=str(folder))
            )
        if files:
            found[name] = files[0]
    if not found:
        raise ValueError(
            "`labels` must hold files of the names of the pictures, such as "
            f"{Path(next(iter(pictures))).with_suffix('.png')}, and holds none. "
            + received(labels=str(folder))
        )
    return found


def digest_of(*paths: Path | None) -> str:
    """SHA-256 of the bytes of files, one after the other."""
    found = hashlib.sha256()
    for path in paths:
        content = b"" if path is None else path.read_bytes()
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.hexdigest()


def read_picture(
    path: Path, labels: Path | None, decoder: LabelDecoder, *, channels: int = 3
) -> Picture:
    """Reads a picture as viewers show it, and its labels.

    What a camera says of the picture's orientation is followed, in both files. Of several frames
    the first is taken. A grey picture gives
    a network of three channels the same value three times; transparency is left out, the colours
    below it stay.

    Args:
        path: The picture.
        labels: Its label file, or None.
        decoder: What the label file means.
        channels: Of the network: 1 or 3.

    Raises:
        UnreadablePicture: If a file cannot be read whole, is deeper than 8 bits, or the labels are
            not of the picture's size or not what `decoder` expects.
    """
    # Before they are read: of a file that is written to meanwhile, an older version is certified,
    # and its bytes are others the next time.
    digest = digest_of(path, labels)
    try:
        image, note = _as_channels(_open(path), path, channels)
        classes = None
        if labels is not None:
            opened = _open(labels)
            if opened.size != image.size:
                raise UnreadablePicture(
                    f"Label file {labels} is {opened.width} x {opened.height} pixels; expected "
                    f"{image.width} x {image.height}, the size of its picture."
                )
            classes = decoder(opened, labels)
        pixels = np.asarray(image).reshape(image.height, image.width, channels)
        return Picture(pixels, classes, digest, note)
    except UnreadablePicture:
        raise
    except ValueError as error:
        raise UnreadablePicture(str(error)) from error


def size_of(path: Path) -> tuple[int, int] | None:
    """`(height, width)` as its head states it, oriented; None for a file that has no such head."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # Orientations that lie on their side.
            width, height = image.size
            return (width, height) if turned else (height, width)
    except Exception:  # Pillow raises over ten types on broken files.
        return None


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            frames = getattr(image, "n_frames", 1)
            turned = ImageOps.exif_transpose(image)
    except Exception as error:  # Likewise.
        raise UnreadablePicture(
            f"{path} cannot be read; expected a complete picture file such as PNG or JPEG "
            f"({error})."
        ) from error
    turned.info[_FRAMES] = frames
    return turned


def _as_channels(image: Image.Image, path: Path, channels: int) -> tuple[Image.Image, str]:
    if image.mode in DEEP_MODES:
        raise UnreadablePicture(
            f"{path} has mode {image.mode}; expected 8 bits a channel: convert it first."
        )
    notes = []
    if (frames := image.info[_FRAMES]) > 1:
        notes.append(f"the first of {frames} frames")
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] != 255:
            notes.append("transparency left out")
        image = image.convert("RGB")
    grey = image.mode in ("L", "1")
    if channels == 3 and grey:
        notes.append("grey, given three times")
    elif channels == 1 and not grey:
        notes.append("colours made grey")
    return image.convert("RGB" if channels == 3 else "L"), "; ".join(notes)
