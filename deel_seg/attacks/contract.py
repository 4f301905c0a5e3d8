"""What an attack is given, what it sees, and what it returns."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._checks import check_integer, check_real
from deel_seg.attacks.envelope import Envelope
from deel_seg.attacks.goal import Goal
from deel_seg.attacks.pixel_losses import View

Tensor = Any
State = dict[str, Tensor]

_ARRAYS = ("images", "norms", "accuracy", "reached")


class Given(NamedTuple):
    """A batch of images, as a search is given them."""

    images: Tensor  # (batch, H, W, channels) float32
    goal: Goal
    eps: Tensor  # (batch,) float32; inf in a search for the least norm
    needed: Tensor  # (batch,) int32: hits that it needs; more than there are pixels for a budget
    expected: Tensor  # scalar float32: about the norm that a search for the least one will find
    lower: Tensor  # scalar float32, least value of an image
    upper: Tensor
    clean_margins: Tensor  # (batch, H, W)
    frontier: Tensor  # (batch,), of `pixel_losses.frontier`
    noise: Tensor  # like the images, standard normal, for a search that asks for it; else a scalar

    @property
    def counted(self) -> Tensor:
        """Number of pixels that count, `(batch,)` float32, at least 1."""
        return ops.maximum(ops.sum(ops.cast(self.goal.mask, "float32"), axis=(1, 2)), 1.0)


class Seen(NamedTuple):
    """What a search sees at the point where it stands."""

    step: Tensor  # scalar int32, from 0
    change: Tensor  # (batch, H, W, channels): the point less the image, inside the box
    gradient: Tensor  # the same shape, of what it lowers
    loss: Tensor  # (batch,), what it lowers
    margins: Tensor  # (batch, H, W)
    hits: Tensor  # (batch,) int32
    reached: Tensor  # (batch,) bool: whether these are enough
    norms: Tensor  # (batch,), of the change


@dataclass(frozen=True)
class AttackResult:
    """What came of an attack, all of it looked at once more after the attack had ended.

    Attributes:
        images: `(images, H, W, channels)` float32, the best ones: with most hits within the
            budget, or with enough of them at the least norm.
        norms: `(images,)` float64, l2 distances from the images that were attacked.
        accuracy: `(images,)` float64: the share of the pixels that count which were not hit: the
            pixel accuracy under attack, where these are all labelled pixels; NaN where none counts.
        reached: `(images,)` bool: whether it is at most the threshold; without one, all True.
        envelope: The best of all points on the way.
        evaluations: Gradients taken of each image.
    """

    images: np.ndarray
    norms: np.ndarray
    accuracy: np.ndarray
    reached: np.ndarray
    envelope: Envelope
    evaluations: int

    def first(self, count: int) -> AttackResult:
        """Of the first images only."""
        arrays = {name: getattr(self, name)[:count] for name in _ARRAYS}
        return AttackResult(
            **arrays, envelope=self.envelope.first(count), evaluations=self.evaluations
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays, of which `from_arrays` makes it again."""
        of_images = {name: getattr(self, name) for name in _ARRAYS}
        evaluations = np.array(self.evaluations)
        return {**of_images, **self.envelope.arrays(), "evaluations": evaluations}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> AttackResult:
        """The result of which these are the `arrays`."""
        return AttackResult(
            **{name: arrays[name] for name in _ARRAYS},
            envelope=Envelope.from_arrays(arrays),
            evaluations=int(arrays["evaluations"]),
        )

    @staticmethod
    def of_all(parts: Sequence[AttackResult]) -> AttackResult:
        """The results of all parts of a data set, one after the other."""
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        envelope = Envelope.of_all([part.envelope for part in parts])
        return AttackResult(**arrays, envelope=envelope, evaluations=parts[0].evaluations)


@dataclass(frozen=True, kw_only=True)
class Search(abc.ABC):
    """A search for the point near an image where a network is worst.

    A subclass says where to start, what to lower and how to step. What it claims is not trusted:
    every point is brought into the box and looked at outside of it.

    Args:
        steps: Gradients to take of each image.
        temperature: Factor of the logits in the losses, not in what counts as a hit. Lipschitz
            networks have small logits: take the temperature they were trained with.
    """

    steps: int = 20
    temperature: float = 1.0

    # Whether it looks for the least norm rather than for the worst within a budget.
    minimal = False
    # Whether it is given noise.
    noisy = False

    def __post_init__(self) -> None:
        check_integer("steps", self.steps, minimum=1)
        check_real("temperature", self.temperature, minimum=0, exclusive_minimum=True)

    def start(self, given: Given) -> State:
        """What it carries from step to step; `"change"` is where it looks first."""
        return {"change": ops.zeros_like(given.images)}

    @abc.abstractmethod
    def lowered(self, view: View, given: Given, state: State) -> Tensor:
        """What it lowers, `(batch,)`."""

    @abc.abstractmethod
    def step(self, given: Given, state: State, seen: Seen) -> State:
        """The next state, of the same keys; its `"change"` need not lie in the box."""
