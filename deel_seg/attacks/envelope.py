"""All that an attack saw on its way: the least accuracy at every norm, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from deel_seg._checks import received


@dataclass(frozen=True)
class Envelope:
    """The best of all points that were looked at, for each image.

    Points are left out that another one beats in norm without being worse in hits.

    Attributes:
        norms: For each image, upper bounds of l2 norms, float64, increasing from 0, which is the
            clean image.
        hits: For each image, how many pixels were what the attack wanted at these norms, integers,
            increasing.
        counted: `(images,)`: the pixels that count.
    """

    norms: Sequence[np.ndarray]
    hits: Sequence[np.ndarray]
    counted: np.ndarray

    @classmethod
    def of(cls, norms: np.ndarray, hits: np.ndarray, counted: np.ndarray) -> Envelope:
        """The envelope of points, `(points, images)` each."""
        best = [_best(*points) for points in zip(norms.T, hits.T, strict=True)]
        return cls([norm for norm, _ in best], [hit for _, hit in best], np.asarray(counted))

    def accuracy(self, eps: Any) -> np.ndarray:
        """Least share of the pixels not hit within each budget: an upper bound of any certificate.

        Args:
            eps: A budget, or a sequence of them.

        Returns:
            `(images,)`, or `(images, len(eps))`, float64; NaN where no pixel counts.
        """
        budgets = np.atleast_1d(np.asarray(eps, "float64"))
        if not np.all(budgets >= 0):
            raise ValueError(f"`eps` must be >= 0. {received(eps=eps)}")
        most = np.array(
            [
                hits[np.searchsorted(norms, budgets, side="right") - 1]
                for norms, hits in zip(self.norms, self.hits, strict=True)
            ]
        ).reshape(-1, len(budgets))
        shares = share_left(most, self.counted[:, None])
        return shares if np.ndim(eps) else shares[:, 0]

    def norm(self, threshold: Any) -> np.ndarray:
        """Least norm at which the share of pixels not hit was at most `threshold`.

        Returns:
            `(images,)`, float64; inf where that was not seen.
        """
        needed = hits_needed(threshold, self.counted)
        return np.array(
            [
                norms[np.searchsorted(hits, least)] if least <= hits[-1] else np.inf
                for norms, hits, least in zip(self.norms, self.hits, needed, strict=True)
            ]
        )

    def first(self, count: int) -> Envelope:
        """Of the first images only."""
        return Envelope(self.norms[:count], self.hits[:count], self.counted[:count])

    def merged(self, other: Envelope) -> Envelope:
        """With what was seen of the same images by another attack."""
        if not np.array_equal(self.counted, other.counted):
            raise ValueError("`other` must be of the same images, with the same pixels that count.")
        pairs = zip(self.norms, other.norms, self.hits, other.hits, strict=True)
        best = [_best(np.append(a, b), np.append(c, d)) for a, b, c, d in pairs]
        return Envelope([norm for norm, _ in best], [hit for _, hit in best], self.counted)

    def arrays(self) -> dict[str, np.ndarray]:
        """All points of all images one after the other, and how many each image has."""
        return {
            "point_norms": np.concatenate(self.norms),
            "point_hits": np.concatenate(self.hits),
            "points": np.array([len(norms) for norms in self.norms]),
            "counted": self.counted,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> Envelope:
        """The envelope of which these are the `arrays`."""
        ends = np.cumsum(arrays["points"])[:-1]
        norms, hits = (np.split(arrays[f"point_{name}"], ends) for name in ("norms", "hits"))
        return Envelope(norms, hits, arrays["counted"])

    @staticmethod
    def of_all(parts: Sequence[Envelope]) -> Envelope:
        """The envelope of the images of all parts, one after the other."""
        return Envelope(
            [norms for part in parts for norms in part.norms],
            [hits for part in parts for hits in part.hits],
            np.concatenate([part.counted for part in parts]),
        )


def share_left(hits: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Share of the pixels that count which were not hit; NaN where none counts."""
    with np.errstate(invalid="ignore"):
        return np.where(counted > 0, (counted - hits) / np.maximum(counted, 1), np.nan)


def hits_needed(threshold: Any, counted: np.ndarray) -> np.ndarray:
    """Least number of hits that leaves a share of at most `threshold`, `(images,)` int64.

    A float is what it prints: of ten pixels at most 0.7 are left by 3 hits, which 1 - 0.7 in
    floats would miss.
    """
    given = threshold if np.ndim(threshold) else [threshold] * len(counted)
    if len(given) != len(counted):
        raise ValueError(
            "`threshold` must be one number, or one for each image. "
            + received(threshold=threshold)
        )
    pairs = zip(given, counted, strict=True)
    return np.array([int(n) - int(_share(each) * int(n) // 1) for each, n in pairs], "int64")


def _share(threshold: Any) -> Fraction:
    try:
        share = threshold if isinstance(threshold, Fraction) else Fraction(repr(float(threshold)))
    except (TypeError, ValueError, OverflowError):
        share = Fraction(-1)
    if not 0 <= share <= 1:
        raise ValueError(f"`threshold` must be in [0, 1]. {received(threshold=threshold)}")
    return share


def _best(norms: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((-hits, norms))
    norms, hits = norms[order].astype("float64"), hits[order].astype("int64")
    first = np.append(True, hits[1:] > np.maximum.accumulate(hits)[:-1])
    return norms[first], hits[first]
