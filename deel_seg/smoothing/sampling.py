"""How often each pixel of noisy copies of an image is classified alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import compiled, inference_of, stateless_normal

Tensor = Any


class Counts(NamedTuple):
    """What sampling finds of images."""

    top: np.ndarray  # (images, H, W) int32: most frequent class of the first samples
    hits: np.ndarray  # (images, H, W) int32: how often it came up in the others
    samples: int  # the others
    taken: np.ndarray  # (images,): how many of the others were needed to know the verdict


class Sampler:
    """Classifies noisy copies of an image, each with a noise of its own.

    The noise follows from the seed, the number of the image and that of the batch.

    Args:
        model: From images `(batch, H, W, channels)` to logits, as in `SegCertify`.
        num_classes: Number of classes.
        sigma: Standard deviation of the noise.
        batch_size: Copies at a time.
    """

    def __init__(
        self, model: Callable[[Tensor], Tensor], num_classes: int, sigma: float, batch_size: int
    ) -> None:
        self.model, self.num_classes, self.batch_size = model, num_classes, batch_size
        apply, self._weights = inference_of(model)

        def classes(weights: Any, image: Tensor, seed: Tensor) -> Tensor:
            noise = stateless_normal((batch_size, *image.shape), seed)
            logits = apply(weights, image[None] + sigma * noise)
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
        votes = ops.zeros((*image.shape[:2], self.num_classes), dtype="int32")
        for batch, count in self._batches(samples):
            votes = self._vote(*self._arguments(image, seed, batch, count), votes)
            tick(count)
        return ops.cast(ops.argmax(votes, axis=-1), "int32")

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
        hits, taken = ops.zeros(image.shape[:2], dtype="int32"), 0
        for batch, count in self._batches(samples):
            if is_known(ops.convert_to_numpy(hits), samples - taken):
                tick(samples - taken)
                break
            hits = self._compare(*self._arguments(image, seed, batch, count), top, hits)
            taken += count
            tick(count)
        return ops.convert_to_numpy(hits), taken

    def _arguments(
        self, image: np.ndarray, seed: tuple[int, ...], batch: int, count: int
    ) -> tuple[Any, ...]:
        # Two 32-bit numbers that no other image, batch or seed has.
        drawn = np.random.SeedSequence([*seed, batch]).generate_state(2, "uint32").view("int32")
        return (
            self._weights(),
            ops.convert_to_tensor(image),
            ops.convert_to_tensor(drawn),
            ops.convert_to_tensor(count, "int32"),
        )

    def _batches(self, samples: int) -> list[tuple[int, int]]:
        """Number and size of the batches."""
        starts = range(0, samples, self.batch_size)
        return [
            (number, min(self.batch_size, samples - start)) for number, start in enumerate(starts)
        ]
