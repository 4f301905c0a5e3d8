"""How often each pixel of noisy copies of an image is classified alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import compiled, stateless_normal
from deel_seg._checks import received
from deel_seg._devices import moved, on_device
from deel_seg._inference import inference_of

Tensor = Any


class Counts(NamedTuple):
    """What sampling finds of images."""

    top: np.ndarray  # (images, H, W) int32: most frequent class of the first samples
    hits: np.ndarray  # (images, H, W) int32: how often it came up in the others
    samples: int  # the others
    taken: np.ndarray  # (images,): how many of the others were needed to know the verdict


class Sampler:
    """Classifies noisy copies of an image, each with a noise of its own.

    The noise follows from the seed, the number of the image and that of the batch: wherever a batch
    is classified, and whatever was before it, it has the same.

    Args:
        model: From images `(batch, H, W, channels)` to logits, as in `SegCertify`.
        num_classes: Number of classes.
        sigma: Standard deviation of the noise.
        batch_size: Copies at a time, on each device.
        devices: Devices that take turns; none for the one that Keras uses.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        num_classes: int,
        sigma: float,
        batch_size: int,
        devices: Sequence[str] = (),
    ) -> None:
        self.model, self.num_classes, self.batch_size = model, num_classes, batch_size
        self.devices: Sequence[str | None] = devices or (None,)
        apply, self._weights = inference_of(model, movable=bool(devices))

        def classes(weights: Any, image: Tensor, seed: Tensor) -> Tensor:
            noise = stateless_normal((batch_size, *image.shape), seed)
            logits = apply(weights, image[None] + sigma * noise)
            _check_classes(num_classes, logits.shape)
            if logits.shape[-1] == 1:
                return ops.cast(logits[..., 0] > 0, "int32")
            return ops.cast(ops.argmax(logits, axis=-1), "int32")

        def vote(weights: Any, image: Tensor, seed: Tensor, count: Tensor, votes: Tensor) -> Tensor:
            found = classes(weights, image, seed)
            counted = ops.arange(batch_size) < count
            cast = ops.one_hot(found, num_classes, dtype="int32")
            return votes + ops.sum(ops.where(counted[:, None, None, None], cast, 0), axis=0)

        def compare(
            weights: Any, image: Tensor, seed: Tensor, count: Tensor, top: Tensor, hits: Tensor
        ) -> Tensor:
            found = ops.equal(classes(weights, image, seed), top)
            counted = ops.arange(batch_size) < count
            found = ops.logical_and(found, counted[:, None, None])
            return hits + ops.sum(ops.cast(found, "int32"), axis=0)

        self._vote, self._compare = (compiled(each, xla=False) for each in (vote, compare))

    def most_frequent(
        self, image: np.ndarray, samples: int, seed: tuple[int, ...], tick: Callable[[int], None]
    ) -> Tensor:
        """Most frequent class of each pixel, of the lowest number where several are, `(H, W)`."""
        none = ops.zeros((*image.shape[:2], self.num_classes), dtype="int32")
        votes, weights = self._everywhere(none), self._everywhere(self._weights())
        for turn in self._turns(samples):
            for place, (batch, count) in enumerate(turn):
                with on_device(self.devices[place]):
                    arguments = self._arguments(image, seed, batch, count)
                    votes[place] = self._vote(weights[place], *arguments, votes[place])
                tick(count)
        total, *others = (moved(each, self.devices[0]) for each in votes)
        for each in others:
            total = total + each
        return ops.cast(ops.argmax(total, axis=-1), "int32")

    def hits(
        self,
        image: np.ndarray,
        top: Tensor,
        samples: int,
        seed: tuple[int, ...],
        tick: Callable[[int], None],
        is_known: Callable[[np.ndarray, int], bool],
    ) -> tuple[np.ndarray, int]:
        """How often each pixel is `top`, and of how many samples.

        Args:
            image: `(H, W, channels)`.
            top: `(H, W)`.
            samples: Number of samples.
            seed: Two integers.
            tick: Told of samples that were taken.
            is_known: From hits, and samples left, whether the others can change nothing.
        """
        hits = self._everywhere(ops.zeros(image.shape[:2], dtype="int32"))
        tops, weights, taken = self._everywhere(top), self._everywhere(self._weights()), 0
        for turn in self._turns(samples):
            if is_known(_total(hits), samples - taken):
                tick(samples - taken)
                break
            for place, (batch, count) in enumerate(turn):
                with on_device(self.devices[place]):
                    arguments = self._arguments(image, seed, batch, count)
                    hits[place] = self._compare(
                        weights[place], *arguments, tops[place], hits[place]
                    )
                taken += count
                tick(count)
        return _total(hits), taken

    def _everywhere(self, values: Any) -> list[Any]:
        """A copy for each device."""
        return [moved(values, device) for device in self.devices]

    def _arguments(
        self, image: np.ndarray, seed: tuple[int, ...], batch: int, count: int
    ) -> tuple[Any, ...]:
        # Two 32-bit numbers that no other image, batch or seed has.
        drawn = np.random.SeedSequence([*seed, batch]).generate_state(2, "uint32").view("int32")
        return (
            ops.convert_to_tensor(image),
            ops.convert_to_tensor(drawn),
            ops.convert_to_tensor(count, "int32"),
        )

    def _turns(self, samples: int) -> Iterator[list[tuple[int, int]]]:
        """Number and size of the batches, as many at a time as there are devices."""
        starts = range(0, samples, self.batch_size)
        batches = [
            (number, min(self.batch_size, samples - start)) for number, start in enumerate(starts)
        ]
        for first in range(0, len(batches), len(self.devices)):
            yield batches[first : first + len(self.devices)]


def _total(parts: Sequence[Tensor]) -> np.ndarray:
    # Of devices that still compute the first is waited for, while the others go on.
    return np.sum([ops.convert_to_numpy(part) for part in parts], axis=0, dtype="int32")


def _check_classes(num_classes: int, shape: Sequence[int]) -> None:
    # Of a class that is not counted no pixel would be certified.
    if len(shape) != 4 or max(shape[-1], 2) != num_classes:
        raise ValueError(
            "`num_classes` must be the number of the model's classes, 2 for one signed logit. "
            + received(num_classes=num_classes, logits=tuple(shape))
        )
