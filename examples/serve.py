"""Certifies a video or a folder of pictures frame by frame with an exported network, live.

    deel-seg export model.keras exported --eps 0.05,0.1
    python examples/serve.py exported flight.mp4 --out certified.mp4
    python examples/serve.py exported photographs/ --out certified/ --limit 100

Each frame gives a line: its frames per second, reading and writing included; the share of the
predictions that no attack of each budget changes (crs); the budget that changes the manifest's
fraction of them (stability); and in brackets the least of either so far. All of these are proved,
and printed rounded down. Ctrl-C stops between two frames, and what was written until then is whole.

With --out the pixels that no attack of --overlay-eps on one pixel alone changes are coloured by
their class, and the others left grey: a video where the name ends in .mp4, .mkv, .mov or .avi,
otherwise a folder of PNG files. Videos need PyAV: pip install 'deel_seg[video]'.

A frame is resized to a size that the strides of the network divide, and budgets are l2 norms over
the pixels of the resized frame. Each frame is certified by itself: nothing is proved of an attack
whose budget is shared by several frames, nor of what happens before a frame is decoded.

Exit codes: 0 done, 1 refused with the reason, 2 wrong usage, 3 done but for files that could not be
read, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

VIDEOS = (".mp4", ".mkv", ".mov", ".avi")
FOLDER_RATE = 25  # Frames a second of a video made of a folder of pictures.
STOPPED, SOME_UNREADABLE = 130, 3


class Refused(Exception):
    """What cannot be served; the message says why."""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("predictor", type=Path, help="folder that deel-seg export wrote")
    add("source", type=Path, help="video file, folder of pictures, or one picture")
    add("--fingerprint", help="what deel-seg export printed: whether it is that network")
    add("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="that frames are resized to")
    add("--limit", type=int, help="frames to certify at most")
    add("--out", type=Path, help="video or folder for frames with the certified pixels coloured")
    add("--overlay-eps", type=float, help="budget of those pixels; by default the first exported")
    arguments = parser.parse_args()
    if arguments.limit is not None and arguments.limit < 1:
        parser.error(f"--limit must be at least 1, and is {arguments.limit}")
    if arguments.size and min(arguments.size) < 1:
        parser.error(f"--size must be at least 1, and is {arguments.size}")
    if arguments.overlay_eps is not None and not 0 <= arguments.overlay_eps < math.inf:
        parser.error(f"--overlay-eps must be at least 0, and is {arguments.overlay_eps}")
    return arguments


def pyav() -> Any:
    """PyAV: its wheels bring FFmpeg along, and it says why a file cannot be decoded."""
    try:
        import av
    except ImportError as error:
        raise Refused("Videos need PyAV: pip install 'deel_seg[video]'.") from error
    return av


class CtrlC:
    """Lets a frame that was begun end: `asked` says that no other should begin."""

    def __enter__(self) -> CtrlC:
        self.asked, self.before = False, signal.signal(signal.SIGINT, self.ask)
        return self

    def ask(self, number: int, frame: Any) -> None:
        """The second Ctrl-C does not wait."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self.before)


class Folder:
    """Pictures of a folder in the order of their names; one that cannot be read is left out."""

    rate: Any = FOLDER_RATE

    def __init__(self, path: Path) -> None:
        from deel_seg.folders.pictures import find_pictures

        self.pictures, self.unreadable = find_pictures(path), 0

    def __iter__(self) -> Iterator[tuple[str, Image.Image]]:
        from deel_seg.folders.pictures import UnreadablePicture, read_picture

        for name, path in self.pictures.items():
            try:
                picture = read_picture(path, None, None)
            except UnreadablePicture as error:
                self.unreadable += 1
                print(f"not certified: {error}", file=sys.stderr)
                continue
            yield name, Image.fromarray(picture.pixels)


class Video:
    """Frames of a video file; where it breaks off, what came before is kept."""

    def __init__(self, path: Path) -> None:
        av = pyav()
        self.path, self.unreadable, self.error = path, 0, av.error.FFmpegError
        try:
            self.container = av.open(str(path))
        except self.error as error:
            raise Refused(f"{path} cannot be decoded as a video: {error.strerror}.") from error
        if not self.container.streams.video:
            raise Refused(f"{path} holds no video, only other streams.")
        self.rate = self.container.streams.video[0].average_rate or FOLDER_RATE

    def __iter__(self) -> Iterator[tuple[str, Image.Image]]:
        place = 0
        try:
            for place, frame in enumerate(self.container.decode(video=0)):
                yield f"frame {place}", frame.to_image()
        except self.error as error:
            self.unreadable += 1
            print(f"{self.path} breaks off after frame {place}: {error}", file=sys.stderr)
        finally:
            self.container.close()


def open_source(path: Path) -> Folder | Video:
    """Frames of a folder, a picture or a video."""
    from deel_seg.folders.pictures import SUFFIXES

    if not path.exists():
        raise Refused(f"There is no video, picture or folder {path}.")
    return Folder(path) if path.is_dir() or path.suffix.lower() in SUFFIXES else Video(path)


class PictureWriter:
    """Frames as PNG files of a folder, numbered."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Refused(f"{folder} is there already, and not overwritten.")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.count = folder, 0

    def write(self, frame: np.ndarray) -> None:
        """Writes pixels `(height, width, 3)`, uint8."""
        Image.fromarray(frame).save(self.folder / f"frame_{self.count:06}.png")
        self.count += 1

    def close(self) -> None:
        """There is nothing left to write."""


class VideoWriter:
    """Frames as a video, H.264 where FFmpeg has it."""

    def __init__(self, path: Path, rate: Any) -> None:
        if path.exists():
            raise Refused(f"{path} is there already, and not overwritten.")
        self.av, self.stream, self.path = pyav(), None, path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.container = self.av.open(str(path), "w")
        self.rate = Fraction(rate)

    def write(self, frame: np.ndarray) -> None:
        """Writes pixels `(height, width, 3)`, uint8; an odd last row or column is cut off."""
        height, width = (size - size % 2 for size in frame.shape[:2])
        if self.stream is None:
            codecs = self.av.codecs_available
            codec = "libx264" if "libx264" in codecs else "mpeg4"
            self.stream = self.container.add_stream(codec, rate=self.rate)
            self.stream.width, self.stream.height = width, height
            self.stream.pix_fmt = "yuv420p"
        pixels = np.ascontiguousarray(frame[:height, :width])
        made = self.av.VideoFrame.from_ndarray(pixels, format="rgb24")
        self.container.mux(self.stream.encode(made))

    def close(self) -> None:
        """Brings the last frames into the file, without which no player opens it."""
        if self.stream is not None:
            self.container.mux(self.stream.encode())
        self.container.close()
        if self.stream is None:  # A file without a frame is no video.
            self.path.unlink(missing_ok=True)


def open_writer(path: Path | None, rate: Any) -> Any:
    """Where overlays go; None for nowhere."""
    if path is None:
        return None
    return VideoWriter(path, rate) if path.suffix.lower() in VIDEOS else PictureWriter(path)


class Server:
    """Certifies frames of one size, and keeps the worst of every value.

    Args:
        predictor: The exported network.
        size: `(height, width)` of what it is given; `None` takes what it was exported for, or the
            size of the first frame, cut down to what its strides divide.
        eps: Budget of the pixels in overlays.
    """

    def __init__(self, predictor: Any, size: Any, eps: float | None) -> None:
        from deel_seg.folders.tiles import smallest_multiple

        self.predictor, self.manifest = predictor, predictor.manifest
        self.multiple = smallest_multiple(predictor.network)
        fixed = self.manifest.input_shape[1:3]
        self.size = size or (None if None in fixed else fixed)
        if size and any(each % by for each, by in zip(size, self.multiple, strict=True)):
            raise Refused(
                f"--size must be a multiple of {self.multiple}, which the strides of the network "
                f"divide, and is {tuple(size)}."
            )
        self.eps = self.manifest.eps[0] if eps is None else eps
        share = float(100 * Fraction(self.manifest.fraction))
        self.names = [*(f"crs@{eps:g}" for eps in self.manifest.eps), f"stability@{share:g}"]
        self.least = np.full(len(self.names), np.inf)
        self.where = ["no frame"] * len(self.names)

    def certify(self, name: str, frame: Image.Image) -> tuple[np.ndarray, np.ndarray]:
        """The values of a frame, in the order of `names`, and its overlay."""
        if self.size is None:
            sizes = zip((frame.height, frame.width), self.multiple, strict=True)
            self.size = tuple(max(size // each, 1) * each for size, each in sizes)
        pixels = np.asarray(frame.resize(self.size[::-1], Image.Resampling.BILINEAR))
        channels = self.manifest.input_shape[-1]
        given = pixels if channels == 3 else np.asarray(Image.fromarray(pixels).convert("L"))
        low, high = self.manifest.input_range
        images = low + (high - low) * given.reshape(1, *self.size, channels).astype("float32") / 255
        answers = {key: np.asarray(value)[0] for key, value in self.predictor(images).items()}
        values = np.append(answers["crs"], answers["stability_radius"])
        # Where nothing is proved of a frame, the values are NaN, and so is the least from there on.
        for place in np.flatnonzero((values < self.least) | np.isnan(values)):
            self.where[place] = name
        self.least = np.minimum(values, self.least)
        return values, self.overlay(pixels, answers)

    def overlay(self, pixels: np.ndarray, answers: dict[str, np.ndarray]) -> np.ndarray:
        """The frame in grey, with the colour of its class where a pixel is certified."""
        from deel_seg.data.dataset_info import distinct_colours

        colours = np.array(distinct_colours(int(answers["labels"].max()) + 1), "float32")
        grey = np.repeat(np.asarray(Image.fromarray(pixels).convert("L"))[..., None], 3, axis=-1)
        certified = answers["radius"] > self.eps  # At exactly eps a pixel ties, and a tie is lost.
        painted = 0.5 * grey + 0.5 * colours[answers["labels"]]
        return np.where(certified[..., None], painted, grey).astype("uint8")


def rounded_down(value: float) -> str:
    """Four digits behind the point, none of them too good."""
    if not math.isfinite(value):
        return str(value)
    return f"{math.floor(10**4 * Fraction(float(value))) / 10**4:.4f}"


def serve(arguments: argparse.Namespace) -> int:
    """Certifies until the frames end, the limit is reached, or Ctrl-C; returns the exit code."""
    import deel_seg

    source = open_source(arguments.source)
    predictor = deel_seg.export.load_predictor(
        arguments.predictor, fingerprint=arguments.fingerprint
    )
    server = Server(predictor, arguments.size, arguments.overlay_eps)
    writer = open_writer(arguments.out, source.rate)
    print(f"{predictor.manifest.network}: Lipschitz constant {server.manifest.lipschitz_constant}")
    seconds: list[float] = []
    start = time.perf_counter()
    with CtrlC() as ctrl_c:
        try:
            for name, frame in source:
                values, overlay = server.certify(name, frame)
                if writer is not None:
                    writer.write(overlay)
                now = time.perf_counter()
                seconds.append(now - start)
                start = now
                print(line(server, name, values, 1 / seconds[-1]), flush=True)
                if ctrl_c.asked or len(seconds) == arguments.limit:
                    break
        finally:
            if writer is not None:
                writer.close()
    summarise(server, seconds, arguments.out)
    if ctrl_c.asked:
        print("Stopped by hand.", file=sys.stderr)
        return STOPPED
    return SOME_UNREADABLE if source.unreadable else 0


def line(server: Server, name: str, values: np.ndarray, rate: float) -> str:
    """What is printed of a frame."""
    shown = (
        f"{key} {rounded_down(value)} ({rounded_down(least)})"
        for key, value, least in zip(server.names, values, server.least, strict=True)
    )
    return f"{name}  {rate:.1f} fps  {'  '.join(shown)}"


def summarise(server: Server, seconds: list[float], out: Path | None) -> None:
    """What holds for all frames."""
    if not seconds:
        print("No frame was certified.")
        return
    print(f"\n{len(seconds)} frames of {server.size[0]} x {server.size[1]} pixels certified")
    if len(seconds) > 1:  # The first one compiles.
        print(f"{(len(seconds) - 1) / sum(seconds[1:]):.1f} frames per second after the first")
    for name, least, where in zip(server.names, server.least, server.where, strict=True):
        print(f"least {name} {rounded_down(least)}, of {where}")
    if out is not None:
        print(f"Written to {out}: coloured where certified at eps = {server.eps:g}, each alone")


def main() -> None:
    """Serves, or says in a sentence why not."""
    arguments = parse_arguments()
    try:
        sys.exit(serve(arguments))
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except (Refused, ValueError, OSError, ImportError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
