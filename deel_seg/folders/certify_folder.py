"""A folder of pictures, certified one by one, to be gone on with after a stop."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import keras

from deel_seg._checks import check_integer, check_real, received
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.data.read import IndexLabels, LabelDecoder, ThresholdLabels, check_mapping
from deel_seg.export import Manifest
from deel_seg.folders.ahead import ahead
from deel_seg.folders.batches import batches_of
from deel_seg.folders.kept import Kept
from deel_seg.folders.measure import Measure, Measured, stability_name
from deel_seg.folders.network import open_predictor
from deel_seg.folders.pictures import Picture, UnreadablePicture, find_labels, find_pictures
from deel_seg.folders.reading import Reader
from deel_seg.folders.results import FolderCertificates, Totals, row_of, summarised, write
from deel_seg.folders.statement import write_statement
from deel_seg.folders.tiles import Tiling, smallest_multiple

_READERS = 2  # Threads.
_READ_AHEAD = 4  # Batches.


def certify_folder(
    model: Any,
    images: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    eps: Sequence[float],
    labels: str | os.PathLike[str] | None = None,
    label_mapping: Mapping[int, int] | None = None,
    label_threshold: int | None = None,
    fractions: Sequence[Any] = (0.5,),
    certified_iou: bool = False,
    tile: tuple[int, int] | None = None,
    overlap: int = 0,
    padding: float = 0.0,
    batch_size: int | None = None,
    report: bool = False,
    verbose: int = 1,
) -> FolderCertificates:
    """Certifies every picture below a folder, of any size, and writes what was found.

    Pictures are given to the network in their own size, 8 bits brought to its `input_range`, which
    is `[0, 1]` unless it was exported with another: budgets are l2 norms over all their pixels and
    channels in that unit. Where the network's strides do not divide the
    size, a picture is filled up at the bottom and on the right, which leaves the constant as it is;
    with `tile` it is certified in parts, whose overlap makes the constant larger
    (`deel_seg.folders.tiles`).

    A picture that cannot be read is left out and listed. What was found of the others is kept at
    once: called again with the same arguments after a stop, only what is missing, or was changed,
    is certified, and the files are those of a run in one go.

    Args:
        model: See `open_predictor`.
        images: The folder, folders in it included; or one picture.
        out: Where to write `results.csv`, a row for each picture; `results.parquet`, the same, if
            pyarrow is installed; `summary.json`, what holds for all of them; and
            `maps/NAME.npz` with the predicted classes and the radius of each pixel.
        eps: Budgets, different ones `>= 0`.
        labels: Folder of label files of the pictures' names: one channel of class numbers, 255 for
            void. Pictures without one are certified without labels.
        label_mapping: The class of each value that label files hold, 255 for void; by default they
            hold the classes themselves.
        label_threshold: For labels that are grey pictures: 1 where at least this, else 0.
        fractions: Shares of the predictions that stability radii are about.
        certified_iou: Whether to certify the IoU of each class over all pictures with labels,
            which takes longer than all the rest.
        tile: `(height, width)` of parts that a picture is cut into; None for none, but for a
            network of fixed size, which takes that.
        overlap: Pixels that tiles look at beyond their own on every inner side.
        padding: What pictures are filled up with, in `[0, 1]`.
        batch_size: Pictures of one size, one after the other, that are certified together; by
            default as many small ones as have the pixels of one of 512x512. A network rounds
            otherwise in a batch of another size: last digits differ.
        report: Whether to keep what `deel_seg.report.write_report` shows too: in `maps/NAME.npz`
            the labels, the picture as JPEG, the class that came second and the certificates at more
            budgets; and `manifest.json` and `audit.json` of the network.
        verbose: 1 shows a progress bar.

    Returns:
        The rows, the summary, and which pictures were refused.

    Raises:
        RefusedModel: If no certified network can be read from `model`.
        ValueError: If an argument is not as described, no picture was found, or `out` holds the
            certificates of another model or other settings.

    Example:
    >>> import tempfile, numpy as np, deel_seg
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> model = deel_seg.LipDeepLabV3({"widths": [8], "aspp_rates": [2]}, num_classes=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = np.random.default_rng(0).integers(0, 256, (13, 20, 3), "uint8")
    ...     Image.fromarray(drawn).save(Path(folder) / "drawn.png")
    ...     found = deel_seg.folders.certify_folder(
    ...         model, folder, Path(folder) / "out", eps=[0.0, 0.1], verbose=0)
    >>> found.rows[0]["image"], found.rows[0]["height"], found.rows[0]["crs@0"]
    ('drawn.png', 13, 1.0)
    """
    budgets = check_budgets(eps)
    shares = [exact_fraction("fractions", each, allow_zero=False) for each in fractions]
    if not shares or len({stability_name(share) for share in shares}) < len(shares):
        raise ValueError(
            "`fractions` must hold different shares, at least one. "
            + received(fractions=list(fractions))
        )
    if batch_size is not None:
        batch_size = check_integer("batch_size", batch_size, minimum=1)
    padding = check_real("padding", padding, minimum=0.0, maximum=1.0)
    pictures = find_pictures(images)
    label_files = {} if labels is None else find_labels(labels, pictures)
    predictor = open_predictor(model)
    tiling = _tiling(predictor.network, tile, overlap)
    measure = Measure(
        predictor, tiling, budgets, shares, padding, certified_iou=certified_iou, report=report,
        batch_size=batch_size,
    )  # fmt: skip
    decoder = _decoder(label_mapping, label_threshold, measure.num_classes)
    settings = {
        "eps": budgets,
        "fractions": [str(share) for share in shares],
        "labels": labels is not None,
        "decoder": repr(decoder),
        "certified_iou": certified_iou,
        "tile": tiling.tile,
        "overlap": overlap,
        "padding": padding,
        "batch_size": batch_size,
    }
    kept = Kept(Path(out), {**settings, **_statement(predictor.manifest)}, report=report)
    if report:
        write_statement(predictor, Path(out))
    channels = int(predictor.network.input_shape[-1])
    bar = keras.utils.Progbar(len(pictures), verbose=verbose, unit_name="image")
    refused: dict[str, str] = {}
    # While pictures are certified, those before are written, and those to come are read.
    with ThreadPoolExecutor(_READERS) as readers, ThreadPoolExecutor(1) as writer:
        reader = Reader(pictures, label_files, decoder, channels, kept)
        read = ahead(readers, reader, batches_of(pictures, batch_size), most=_READ_AHEAD)
        finish = _Finish(measure, kept)
        for batch, left_out in ahead(writer, finish, _certified(read, measure), most=1):
            refused |= left_out
            bar.add(len(batch.names))
    rows, totals = [], Totals(measure)
    for name in pictures:
        if name not in refused:
            note, found = kept.load(name)
            rows.append(row_of(name, note, found, measure.eps))
            totals.add(found)
    summary = summarised(rows, refused, totals, kept.settings)
    certificates = FolderCertificates(rows, refused, summary, Path(out))
    write(certificates)
    return certificates


def _statement(manifest: Manifest) -> dict[str, Any]:
    """What is certified with, and in which unit."""
    return {
        "network": manifest.network,
        "weights_sha256": manifest.weights_sha256,
        "lipschitz_constant": manifest.lipschitz_constant,
        "constant_obtained": manifest.obtained,
        "logit_tolerance": manifest.logit_tolerance,
        "input_range": manifest.input_range,
        "eps_unit": manifest.eps_unit,
        "deel_seg": version("deel_seg"),
    }


def _tiling(network: keras.Model, tile: Any, overlap: int) -> Tiling:
    multiple = smallest_multiple(network)
    fixed = tuple(network.input_shape[1:3])
    if tile is None and None not in fixed:
        tile = fixed
    return Tiling(multiple, None if tile is None else (int(tile[0]), int(tile[1])), overlap)


def _decoder(
    mapping: Mapping[int, int] | None, threshold: int | None, num_classes: int
) -> LabelDecoder:
    if threshold is None:
        return IndexLabels.of(check_mapping("label_mapping", mapping, num_classes))
    if mapping is not None:
        raise ValueError(
            "`label_mapping` and `label_threshold` are for different label files: give one. "
            + received(label_mapping=dict(mapping), label_threshold=threshold)
        )
    return ThresholdLabels(check_integer("label_threshold", threshold, minimum=1))


class _Certified(NamedTuple):
    """A picture, what the network answers, and what is certified of it."""

    picture: Picture
    logits: Any
    certificates: Measured


class _Batch(NamedTuple):
    """Pictures of one size, or why they cannot be read."""

    names: list[str]
    parts: dict[str, _Certified | UnreadablePicture]


def _certified(
    read: Iterable[tuple[list[str], dict[str, Picture | UnreadablePicture]]], measure: Measure
) -> Iterator[_Batch]:
    for names, found in read:
        pictures = {name: each for name, each in found.items() if isinstance(each, Picture)}
        parts: dict[str, _Certified | UnreadablePicture] = {
            name: each for name, each in found.items() if isinstance(each, UnreadablePicture)
        }
        if pictures:
            logits = measure.logits([each.pixels for each in pictures.values()])
            certified = measure.certify(logits, [each.labels for each in pictures.values()])
            of_each = zip(pictures.values(), logits, certified, strict=True)
            parts |= zip(pictures, itertools.starmap(_Certified, of_each), strict=True)
        yield _Batch(names, {name: parts[name] for name in found})


class _Finish:
    """Completes and keeps what was found; tells why pictures were left out, by name."""

    def __init__(self, measure: Measure, kept: Kept) -> None:
        self._measure, self._kept = measure, kept

    def __call__(self, batch: _Batch) -> dict[str, str]:
        left_out = {}
        for name, part in batch.parts.items():
            if isinstance(part, UnreadablePicture):
                left_out[name] = str(part)
                continue
            labels = part.picture.labels
            values = self._measure.complete(part.certificates, part.logits, labels)
            if values is None:
                left_out[name] = "the network answers it with logits that are NaN or infinite."
            else:
                self._kept.keep(name, part.picture, values)
        return left_out
