"""How attacks are called."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._checks import check_integer, check_real, received
from deel_seg._lasting_name import lasting_name
from deel_seg._parts import PartsFolder, fingerprint, weights_fingerprint
from deel_seg.attacks.carrying_out import carry_out
from deel_seg.attacks.contract import AttackResult, Given, Search, State
from deel_seg.attacks.envelope import hits_needed
from deel_seg.attacks.goal import Goal, untargeted
from deel_seg.attacks.pixel_losses import LOSSES, PixelLoss, View, total

Tensor = Any


@dataclass(frozen=True, kw_only=True)
class Attack(Search):
    """A search that is called with a network and images.

    `attack(model, images, labels, eps=...)`, and without `eps` those of minimal norm.

    Args:
        steps: Gradients to take of each image.
        temperature: Factor of the logits in the losses, not in what counts as a hit.
    """

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        images: Any,
        labels: Any,
        *,
        eps: Any = None,
        threshold: Any = None,
        expected_norm: float = 1.0,
        ignore_class: int | None = None,
        bounds: tuple[float, float] = (0.0, 1.0),
        batch_size: int = 16,
        seed: int = 0,
        initial: Any = None,
        folder: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> AttackResult:
        """Attacks images.

        Args:
            model: From images `(batch, H, W, channels)` to logits `(batch, H, W, classes)`: a Keras
                model, or any function that the backend can compile and differentiate.
            images: `(images, H, W, channels)`, floats within the bounds.
            labels: `(images, H, W)`, integers, or a `Goal`.
            eps: Budget of each image, in l2: a number or `(images,)`. For attacks with a budget.
            threshold: Share of the pixels that count to come down to, in `[0, 1]`: a number, or
                `(images,)`. For attacks of minimal norm; 0.01 if None.
            expected_norm: About the norm that is expected. Attacks of minimal norm have their first
                steps in units of it.
            ignore_class: Label of the pixels that do not count, such as 255.
            bounds: Least and largest value of an image.
            batch_size: Images at a time.
            seed: Of what is drawn.
            initial: Images to start from in place of what the attack would start from.
            folder: Where to keep what was found, batch by batch. Called again with the same model,
                images and arguments, an attack that was stopped goes on from there.
            verbose: 1 shows a progress bar.

        Raises:
            ValueError: For images that are not of that shape, not finite or not within the bounds;
                for labels that name no class of the model; for a budget where there is to be none,
                or the other way round; for a folder that holds something else.
        """
        images = _checked_images("images", images, bounds)
        goal = labels if isinstance(labels, Goal) else untargeted(labels, ignore_class=ignore_class)
        if tuple(goal.mask.shape) != images.shape[:3]:
            raise ValueError(
                f"`labels` must have the shape of the images, {images.shape[:3]}. "
                + received(shape=tuple(goal.mask.shape))
            )
        if initial is not None:
            initial = _checked_images("initial", initial, bounds)
        budgets, needed = self._budgets(goal, eps, threshold)
        expected_norm = check_real(
            "expected_norm", expected_norm, minimum=0, exclusive_minimum=True
        )
        check_integer("batch_size", batch_size, minimum=1)
        check_integer("seed", seed, minimum=0)
        settings = (
            {}
            if folder is None
            else {
                "attack": lasting_name(self),
                "weights": weights_fingerprint(model),
                "images": fingerprint(images) if initial is None else fingerprint(images, initial),
                "goal": fingerprint(*map(ops.convert_to_numpy, goal)),
                "targets": fingerprint(budgets, needed),
                "expected_norm": expected_norm,
                "bounds": list(bounds),
                "batch_size": batch_size,
                "seed": seed,
            }
        )
        kept = PartsFolder(folder, "an attack", settings)
        kept.recognise(model, images[:1])
        parts, starts = [], range(0, len(images), batch_size)
        bar = keras.utils.Progbar(len(starts) * self.steps, verbose=verbose, unit_name="step")
        for number, start in enumerate(starts):
            if kept.has(number):
                parts.append(AttackResult.from_arrays(kept.load(number)))
                bar.add(self.steps)
                continue
            count = min(batch_size, len(images) - start)
            # The last batch is filled up: its shape would be compiled for anew.
            rows = np.arange(start, start + min(batch_size, len(images))) % len(images)
            found = carry_out(
                self,
                model,
                images[rows],
                Goal(goal.classes[rows], goal.mask[rows], goal.sign),
                eps=budgets[rows],
                needed=needed[rows],
                expected_norm=expected_norm,
                bounds=bounds,
                seeds=[(seed, int(row)) for row in rows],
                initial=None if initial is None else initial[rows],
                tick=lambda: bar.add(1),
            )
            parts.append(found.first(count))
            kept.keep(number, parts[-1].arrays())
        return AttackResult.of_all(parts)

    def _budgets(self, goal: Goal, eps: Any, threshold: Any) -> tuple[np.ndarray, np.ndarray]:
        """Budget and hits needed of each image."""
        counted = goal.counted
        if self.minimal:
            if eps is not None:
                raise ValueError(
                    f"`eps` must be None: {type(self).__name__} looks for the least norm. "
                    + received(eps=eps)
                )
            needed = hits_needed(0.01 if threshold is None else threshold, counted)
            return np.full(len(counted), math.inf), needed
        if threshold is not None or eps is None:
            raise ValueError(
                f"{type(self).__name__} needs a budget `eps`, and takes no `threshold`. "
                + received(eps=eps, threshold=threshold)
            )
        budgets = np.asarray(eps, "float64")
        if budgets.ndim > 1 or not np.all(np.isfinite(budgets) & (budgets >= 0)):
            raise ValueError(f"`eps` must be finite and >= 0. {received(eps=eps)}")
        if budgets.ndim and budgets.shape != counted.shape:
            raise ValueError(
                f"`eps` must be one number, or one for each image. {received(eps=eps)}"
            )
        return np.broadcast_to(budgets, counted.shape), counted + 1


@dataclass(frozen=True, kw_only=True)
class LossAttack(Attack):
    """An attack that raises a loss of the pixels, which is named or given.

    Args:
        loss: One of `"crossentropy"`, `"masked_crossentropy"`, `"segpgd"`, `"cospgd"`,
            `"jensen_shannon"`, `"margin"`, `"boundary"` and `"squared_hinge"`, or a function of
            `pixel_losses.View`.
    """

    loss: str | PixelLoss = "masked_crossentropy"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.loss) and self.loss not in LOSSES:
            raise ValueError(
                f"`loss` must be a function or one of {sorted(LOSSES)}. {received(loss=self.loss)}"
            )

    @property
    def pixel_loss(self) -> PixelLoss:
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    def lowered(self, view: View, given: Given, state: State) -> Tensor:
        return -total(self.pixel_loss, view)


def _checked_images(name: str, images: Any, bounds: tuple[float, float]) -> np.ndarray:
    images = ops.convert_to_numpy(images)
    if images.ndim != 4 or not len(images) or not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"`{name}` must be floats of shape (images, height, width, channels), and not empty. "
            + received(shape=images.shape, dtype=str(images.dtype))
        )
    low, high = bounds
    images = images.astype("float32")
    if not np.all((images >= low) & (images <= high)):
        raise ValueError(
            f"`{name}` must lie within the bounds {bounds}. "
            + received(lowest=float(images.min()), highest=float(images.max()))
        )
    return images
