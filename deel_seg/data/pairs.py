"""Files on disk: finding a data set's folder, pairing its files, checking them up front."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from deel_seg._checks import received
from deel_seg.data.examples import Examples, Pixels
from deel_seg.data.read import LabelDecoder, read_pair

ROOT_VARIABLE = "DEEL_SEG_DATA"
_NAMED_AT_MOST = 5

Pair = tuple[Path, Path]
"""An image file and its label file."""


def find_root(name: str, root: str | Path | None, folders: Sequence[str], layout: str) -> Path:
    """Returns the folder of a data set.

    Args:
        name: Name of the data set, for messages.
        root: The folder itself; `None` looks in the folder named by the environment
            variable `DEEL_SEG_DATA` for one of `folders`.
        folders: Names the data set's folder may have there.
        layout: What the folder must hold, for messages.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if root is not None:
        candidates = [Path(root)]
        looked = "`root` must be an existing folder"
    elif base := os.environ.get(ROOT_VARIABLE):
        candidates = [Path(base) / folder for folder in folders]
        looked = f"no `root` is given and {ROOT_VARIABLE} holds no such folder"
    else:
        candidates = []
        looked = f"no `root` is given and the environment variable {ROOT_VARIABLE} is not set"
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    tried = ", ".join(map(str, candidates)) or "nowhere"
    raise FileNotFoundError(
        f"Data set {name!r}: {looked}. Looked for: {tried}. Expected: {layout} "
        f"{received(root=root)}"
    )


def require(path: Path, layout: str) -> Path:
    """Returns `path` when it exists, or raises with the layout expected."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Expected: {layout}")
    return path


def read_list(path: Path, layout: str, *, columns: int) -> list[list[str]]:
    """Reads a text file of one example a line; `#` starts a comment line."""
    rows = []
    for number, line in enumerate(require(path, layout).read_text("utf-8").splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < columns:
            raise ValueError(
                f"Line {number} of {path} must hold at least {columns} words. Received: {line!r}"
            )
        rows.append(words)
    return rows


def pair_by_stem(images: Path, labels: Path, layout: str) -> list[Pair]:
    """Pairs the files of two folders by name without extension, sorted by that name."""
    image_files, label_files = _by_stem(require(images, layout)), _by_stem(require(labels, layout))
    for have, lack, where in (
        (image_files, label_files, labels),
        (label_files, image_files, images),
    ):
        alone = [path.name for stem, path in have.items() if stem not in lack]
        if alone:
            raise ValueError(f"{_named(alone)} without a file of the same name in {where}.")
    return [(image_files[stem], label_files[stem]) for stem in sorted(image_files)]


def select_stems(pairs: Iterable[Pair], stems: Sequence[str], source: Path) -> list[Pair]:
    """Returns the pairs of the names in a list, in its order."""
    known = {image.stem: (image, label) for image, label in pairs}
    unknown = [stem for stem in stems if stem not in known]
    if unknown:
        raise FileNotFoundError(f"{source} lists {_named(unknown)} that are not in the folders.")
    return [known[stem] for stem in stems]


def examples_of(
    pairs: Sequence[Pair], size: tuple[int, int], decoder: LabelDecoder, *, source: Path
) -> Examples:
    """Makes examples of pairs of files after checking that they are there.

    Args:
        pairs: Image and label files.
        size: `(height, width)` the files are read at.
        decoder: What the label files mean.
        source: The list or folder the pairs come from, for messages.

    Raises:
        ValueError: If there is no pair, or an image is listed twice.
        FileNotFoundError: If a file does not exist; the message counts and names them.
    """
    if not pairs:
        raise ValueError(f"{source} gives no pair of an image and a label file; expected one.")
    missing = [str(path) for pair in pairs for path in pair if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{source} needs {_named(missing)} that do not exist.")
    if len({image for image, _ in pairs}) != len(pairs):
        raise ValueError(f"{source} lists an image more than once.")

    def read(index: int) -> Pixels:
        image, label = pairs[index]
        return read_pair(image, label, size, decoder)

    names = tuple(image.stem for image, _ in pairs)
    return Examples(names, read, _fingerprint(pairs, size, decoder))


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in files:
            raise ValueError(f"{files[path.stem]} and {path} have the same name.")
        files[path.stem] = path
    return files


def _named(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_NAMED_AT_MOST])
    more = ", ..." if len(names) > _NAMED_AT_MOST else ""
    return f"{len(names)} file{'s' if len(names) > 1 else ''} ({listed}{more})"


def _fingerprint(pairs: Sequence[Pair], size: tuple[int, int], decoder: LabelDecoder) -> str:
    digest = hashlib.sha256(repr((size, decoder)).encode())
    for pair in pairs:
        for path in pair:
            status = path.stat()
            digest.update(repr((str(path), status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()
