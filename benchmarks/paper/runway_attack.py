"""What vanishing attacks leave of a class, beside what is certified to be left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from deel_seg.attacks import Attack, vanishing
from deel_seg.certificates import CertifiedIoUCurve, worst_case_class_iou, worst_case_recall
from deel_seg.certificates.pixels import predicted_class

Network = Callable[[Any], Any]


def class_counts(
    network: Network, images: np.ndarray, labels: np.ndarray, class_id: int, ignore_class: int
) -> np.ndarray:
    """Pixels of a class that are found, that are labelled, and that are added: (images, 3)."""
    logits = network(ops.convert_to_tensor(images))
    predicted = ops.convert_to_numpy(predicted_class(logits, logits.shape[-1])) == class_id
    own, kept = labels == class_id, labels != ignore_class
    return np.stack(
        [part.sum((1, 2)) for part in (predicted & own, own, predicted & kept & ~own)], axis=1
    )


def attacked_counts(
    model: Any,
    network: Network,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    attacks: Sequence[Attack],
    eps: Sequence[float],
    class_id: int,
    ignore_class: int,
    seed: int,
) -> np.ndarray:
    """`class_counts` of the images and of what each attack made of them.

    Every attack is after the pixels labelled with the class, and returns the point at which it saw
    the fewest of them left.

    Args:
        model: What is attacked.
        network: The same from images to logits, compiled.
        images: `(images, H, W, channels)`.
        labels: `(images, H, W)`.
        attacks: With a budget.
        eps: Budgets.
        class_id: The class that is to vanish.
        ignore_class: Label of the pixels left out.
        seed: Of random starts; each attack has one of its own.

    Returns:
        `(1 + budgets * attacks, images, 3)`: without attack, then budget by budget.
    """
    goal = vanishing(labels, class_id=class_id)
    points = [images]
    for budget in eps:
        for number, attack in enumerate(attacks):
            found = attack(
                model, images, goal, eps=budget, batch_size=len(images), seed=seed + 10**6 * number
            )
            points.append(found.images)
    return np.stack([class_counts(network, p, labels, class_id, ignore_class) for p in points])


def image_ious(counts: np.ndarray) -> np.ndarray:
    """IoU of each image; NaN for one that is not labelled with the class."""
    found, labelled, added = np.moveaxis(counts, -1, 0)
    return np.where(labelled > 0, found / np.maximum(labelled + added, 1), np.nan)


def data_set_iou(counts: np.ndarray) -> float:
    """One ratio over all images."""
    found, labelled, added = counts.sum(0)
    return float(found / (labelled + added)) if labelled + added else float("nan")


def least_data_set_iou(points: np.ndarray) -> float:
    """The least IoU of a data set of which each image is at one of several points.

    It is no matter of the least IoU of each image: an attack that removes wrong pixels as well may
    lower that of an image and raise that of the data set. Dinkelbach's steps end at the least.

    Args:
        points: Counts, `(points, images, 3)`; the first without attack.
    """
    images = np.arange(points.shape[1])
    ratio, lower = float("inf"), data_set_iou(points[0])
    while lower < ratio:
        ratio = lower
        found, labelled, added = np.moveaxis(points, -1, 0)
        chosen = np.argmin(found - ratio * (labelled + added), axis=0)
        lower = data_set_iou(points[chosen, images])
    return lower if np.isnan(lower) else ratio


class Certificates:
    """Certificates of a class over a data set, and the check that no attack goes below them.

    Args:
        network: From images to logits.
        constant: Its proved Lipschitz constant.
        eps: Budgets.
        num_classes: Classes of the data set.
        class_id: The class.
        ignore_class: Label of the pixels left out.
    """

    def __init__(
        self,
        network: Network,
        constant: float,
        eps: Sequence[float],
        *,
        num_classes: int,
        class_id: int,
        ignore_class: int,
    ) -> None:
        self.network, self.eps, self.class_id = network, list(eps), class_id
        self.options: dict[str, Any] = {
            "lipschitz_constant": constant,
            "ignore_class": ignore_class,
        }
        self.curve = CertifiedIoUCurve(eps, num_classes, [class_id], **self.options)

    def check(self, images: np.ndarray, labels: np.ndarray, points: np.ndarray) -> None:
        """Adds a batch, and raises an error if an attack went below the certificate of an image.

        Args:
            images: `(images, H, W, channels)`.
            labels: `(images, H, W)`.
            points: What `attacked_counts` returned.

        Raises:
            RuntimeError: If a certificate is violated.
        """
        logits = self.network(ops.convert_to_tensor(images))
        self.curve.update(logits, labels)
        asked = {"eps": self.eps, **self.options}
        worst = worst_case_class_iou(logits, labels, class_id=self.class_id, **asked)
        kept = worst_case_recall(logits, labels, positive_class=self.class_id, **asked)
        worst, kept = ops.convert_to_numpy(worst), ops.convert_to_numpy(kept)
        for index, eps in enumerate(self.eps):
            counts = up_to_budget(points, index, len(self.eps))
            recalls = image_ious(counts * [1, 1, 0])
            refuse_below(f"IoU of an image at eps {eps:g}", image_ious(counts), worst[:, index])
            refuse_below(f"recall of an image at eps {eps:g}", recalls, kept[:, index])


def up_to_budget(points: np.ndarray, index: int, budgets: int) -> np.ndarray:
    """The points of `attacked_counts` within a budget: its own, and those of smaller ones."""
    return points[: 1 + (index + 1) * (len(points) - 1) // budgets]


def refuse_below(what: str, attacked: np.ndarray, certified: np.ndarray) -> None:
    """Raises an error where an attack did what is certified to be impossible."""
    certified = np.broadcast_to(certified, attacked.shape)
    below = attacked < certified
    if below.any():
        raise RuntimeError(
            f"A certificate is violated, {below.sum()} times: the {what} was brought to "
            f"{attacked[below][0]} where {certified[below][0]} is certified."
        )
