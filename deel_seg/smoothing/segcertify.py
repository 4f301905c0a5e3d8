"""Randomized smoothing for segmentation, with all pixels of an image certified at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._checks import check_choice, check_integer, check_real, received
from deel_seg._devices import check_devices
from deel_seg._parts import PartsFolder, fingerprint, weights_fingerprint
from deel_seg.smoothing.binomial_test import lower_bounds, p_values, probability_for, radii_of
from deel_seg.smoothing.multiple_testing import CORRECTIONS, least_count
from deel_seg.smoothing.sampling import Counts, Sampler
from deel_seg.smoothing.smoothed_certificate import ABSTAINS, SmoothedCertificate

Tensor = Any

_VOTES, _TESTS = 0, 1  # Seeds of the two parts of the samples
_COUNTS = ("top", "hits", "taken")


class SegCertify:
    r"""Certifies a network under Gaussian noise, all pixels of an image at once.

    The smoothed network gives each pixel the class that is most frequent under noise of standard
    deviation $\sigma$. A class with probability above $\tau = \Phi(\epsilon / \sigma)$ stays within
    l2 norm $\epsilon$. With probability $1 - \alpha$ over the samples all certified pixels of an
    image do.

    Of the first samples each pixel's class is guessed, of the others it is tested how often it
    comes up: one table of p-values for all counts, and one least count for all pixels
    (`multiple_testing`). One run of samples serves many radii; the promise is for each of them.

    Args:
        model: From images `(batch, H, W, channels)` to logits `(batch, H, W, classes)`: a Keras
            model, best trained with such noise, or any function that the backend can compile.
        num_classes: Number of classes of the model; 2 for a single signed logit.
        sigma: Standard deviation of the noise, in the units of the images.
        first_samples: Samples to guess classes from.
        samples: Samples to test them with.
        alpha: Probability that a certificate of an image is wrong.
        correction: For the many tests: `"holm"`, `"bonferroni"`, or `"k_familywise"`.
        tolerated: Number of false certificates of an image that `"k_familywise"` puts up with.
        batch_size: Noisy copies at a time, on each device.
        devices: Where to sample, such as `keras.distribution.list_devices("gpu")`: the batches of
            an image are shared out among them, and a Keras model's weights copied there. What is
            certified is the same. None for the device that Keras uses.

    Example:
    >>> import numpy as np
    >>> from deel_seg.smoothing import SegCertify
    >>> image = np.array([[[[0.2, 0.8], [0.49, 0.51]]]], "float32")
    >>> smoothed = SegCertify(lambda x: x, 2, sigma=0.25, samples=100)
    >>> smoothed(image, eps=0.1).classes.tolist()
    [[[1, -1]]]

    References:
        Fischer, Baader, Vechev, Scalable Certified Segmentation via Randomized Smoothing,
        ICML 2021.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        num_classes: int,
        sigma: float,
        *,
        first_samples: int = 10,
        samples: int = 100,
        alpha: float = 0.001,
        correction: str = "holm",
        tolerated: int = 0,
        batch_size: int = 16,
        devices: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.num_classes = check_integer("num_classes", num_classes, minimum=2)
        self.sigma = check_real("sigma", sigma, minimum=0, exclusive_minimum=True)
        self.first_samples = check_integer("first_samples", first_samples, minimum=1)
        self.samples = check_integer("samples", samples, minimum=1)
        self.alpha = check_real(
            "alpha", alpha, minimum=0, maximum=1, exclusive_minimum=True, exclusive_maximum=True
        )
        self.correction = check_choice("correction", correction, CORRECTIONS)
        self.tolerated = check_integer("tolerated", tolerated, minimum=0)
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        self._sampler = Sampler(
            model,
            num_classes,
            sigma,
            self.batch_size,
            () if devices is None else check_devices(devices),
        )

    def __call__(
        self,
        images: Any,
        *,
        eps: Any,
        seed: int = 0,
        folder: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> Any:
        """Samples images, and certifies them.

        Args:
            images: `(images, H, W, channels)`, floats.
            eps: Radius in l2, or a sequence of radii, from the same samples.
            seed: Of the noise.
            folder: As in `sample`.
            verbose: 1 shows a progress bar.

        Returns:
            A `SmoothedCertificate`, or a list of them.
        """
        radii = list(np.atleast_1d(np.asarray(eps, "float64")))
        counts = self.sample(images, eps=radii, seed=seed, folder=folder, verbose=verbose)
        found = [self.certify(counts, eps=radius) for radius in radii]
        return found if np.ndim(eps) else found[0]

    def __repr__(self) -> str:
        names = (
            "num_classes",
            "sigma",
            "first_samples",
            "samples",
            "alpha",
            "correction",
            "tolerated",
            "batch_size",  # The noise depends on it.
        )
        return f"SegCertify({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def sample(
        self,
        images: Any,
        *,
        eps: Sequence[float] = (),
        seed: int = 0,
        first_image: int = 0,
        folder: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> Counts:
        """Counts how often each pixel is classified as its most frequent class.

        Args:
            images: `(images, H, W, channels)`, floats.
            eps: Radii that will be certified: once no sample can change what is certified for any
                of them, an image's sampling ends. Empty for all samples.
            seed: Of the noise.
            first_image: Number of the first image, which its noise depends on.
            folder: Where to keep the counts, image by image. Called again with the same model,
                images and arguments, sampling that was stopped goes on from there.
            verbose: 1 shows a progress bar.
        """
        images = ops.convert_to_numpy(images)
        if images.ndim != 4 or not len(images) or not np.issubdtype(images.dtype, np.floating):
            raise ValueError(
                "`images` must be floats of shape (images, height, width, channels), not empty. "
                + received(shape=images.shape, dtype=str(images.dtype))
            )
        if not np.all(np.isfinite(images)):
            raise ValueError("`images` must be finite. " + received(finite=False))
        if hasattr(self.model, "compose_kernels"):
            self.model.compose_kernels()
        limits = self._limits(eps, images.shape[1] * images.shape[2])
        each = self.first_samples + self.samples
        bar = keras.utils.Progbar(len(images) * each, verbose=verbose, unit_name="sample")
        check_integer("seed", seed, minimum=0)
        settings = {"smoothing": repr(self), "eps": list(map(float, eps)), "seed": seed}
        if folder is not None:
            settings["weights"] = weights_fingerprint(self.model)
            settings["images"] = fingerprint(images, first_image)
        kept = PartsFolder(folder, "samples", settings)
        kept.recognise(self.model, images[:1].astype("float32"))
        parts = []
        for number, image in enumerate(images.astype("float32"), start=first_image):
            if kept.has(number):
                parts.append(kept.load(number))
                bar.add(each)
            else:
                parts.append(self._counts(image, (seed, number), limits, bar.add))
                kept.keep(number, parts[-1])
        top, hits, taken = (np.stack([part[name] for part in parts]) for name in _COUNTS)
        return Counts(top, hits, self.samples, taken)

    def _counts(
        self,
        image: np.ndarray,
        key: tuple[int, int],
        limits: Callable[[np.ndarray, int], bool],
        tick: Callable[[int], None],
    ) -> dict[str, np.ndarray]:
        """Those of one image."""
        top = self._sampler.most_frequent(image, self.first_samples, (*key, _VOTES), tick)
        found = self._sampler.hits(image, top, self.samples, (*key, _TESTS), tick, limits)
        return dict(zip(_COUNTS, map(np.asarray, (ops.convert_to_numpy(top), *found)), strict=True))

    def certify(self, counts: Counts, *, eps: float) -> SmoothedCertificate:
        """Certifies what was sampled, for a radius.

        Args:
            counts: Of `sample`.
            eps: Radius in l2: at least 0, and one of those that were sampled for, if there were.
        """
        probability = probability_for(eps, self.sigma)
        table = p_values(counts.samples, probability)
        least = np.array([self._least(table, hits) for hits in counts.hits])
        certified = counts.hits >= least[:, None, None]
        return SmoothedCertificate(
            np.where(certified, counts.top, ABSTAINS).astype("int32"),
            float(eps),
            probability,
            least,
            self.tolerated if self.correction == "k_familywise" else 0,
        )

    def radii(self, counts: Counts) -> np.ndarray:
        """The l2 radius that each pixel's class `counts.top` keeps by itself, `(images, H, W)`.

        By the bounds of Clopper and Pearson, each wrong with probability `alpha` over the number of
        pixels, so that with probability `1 - alpha` all radii of an image hold; as many but
        `tolerated` with `"k_familywise"`. Float64; 0 where the class may change at once. Of samples
        without `eps`: where they ended early radii are smaller.

        Args:
            counts: Of `sample`.

        Example:
        >>> import numpy as np
        >>> from deel_seg.smoothing import SegCertify
        >>> image = np.array([[[[0.2, 0.8], [0.49, 0.51]]]], "float32")
        >>> smoothed = SegCertify(lambda x: x, 2, sigma=0.25, samples=100)
        >>> radii = smoothed.radii(smoothed.sample(image))
        >>> (radii > 0.1).tolist()
        [[[True, False]]]
        """
        pixels = counts.hits[0].size
        tolerated = self.tolerated + 1 if self.correction == "k_familywise" else 1
        level = min(tolerated * self.alpha / pixels, 0.5)
        return radii_of(lower_bounds(counts.samples, level), self.sigma)[counts.hits]

    def _least(self, table: np.ndarray, hits: np.ndarray) -> int:
        histogram = np.bincount(hits.ravel(), minlength=len(table))
        return least_count(
            table,
            histogram,
            alpha=self.alpha,
            correction=self.correction,
            tolerated=self.tolerated,
        )

    def _limits(self, eps: Sequence[float], pixels: int) -> Callable[[np.ndarray, int], bool]:
        """Whether what is certified is known, from hits so far and samples that are left.

        Whatever the counts of others, a pixel is certified that any correction certifies by itself,
        and none that would fail if it were the only one.
        """
        surely, never = [], []
        for radius in eps:
            table = p_values(self.samples, probability_for(radius, self.sigma))
            tolerated = self.tolerated + 1 if self.correction == "k_familywise" else 1
            fixed = np.append(table <= tolerated * self.alpha / pixels, True)
            surely.append(int(np.argmax(fixed)))
            alone = np.append(table <= self.alpha, True)
            never.append(int(np.argmax(alone)) if self.correction == "holm" else surely[-1])

        def is_known(hits: np.ndarray, left: int) -> bool:
            if not surely or not left:
                return False
            return all(
                bool(np.all((hits >= most) | (hits + left < least)))
                for most, least in zip(surely, never, strict=True)
            )

        return is_known
