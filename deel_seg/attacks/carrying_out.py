"""Carries a search out on a batch: looks at every point itself, and keeps the best of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import compiled
from deel_seg._checks import received
from deel_seg._derivatives import value_and_gradient
from deel_seg._inference import inference_of
from deel_seg.attacks.ball import exact_norms_above, exactly_inside, norms_above
from deel_seg.attacks.contract import AttackResult, Given, Search, Seen, State
from deel_seg.attacks.envelope import Envelope, share_left
from deel_seg.attacks.goal import Goal, as_classes
from deel_seg.attacks.pixel_losses import View, frontier

Tensor = Any
Network = Callable[[Tensor], Tensor]


class _Best(NamedTuple):
    """The best points so far."""

    images: Tensor
    hits: Tensor  # (batch,) int32
    norms: Tensor  # (batch,)
    reached: Tensor  # (batch,) bool

    def or_better(self, given: Given, points: Tensor, hits: Tensor, norms: Tensor) -> _Best:
        """These, or where they are better, other points."""
        reached = hits >= given.needed
        closer = ops.logical_or(ops.logical_not(self.reached), norms < self.norms)
        more = ops.logical_and(ops.logical_not(self.reached), hits > self.hits)
        better = ops.logical_and(ops.where(reached, closer, more), norms <= given.eps)
        return _Best(
            ops.where(better[:, None, None, None], points, self.images),
            ops.where(better, hits, self.hits),
            ops.where(better, norms, self.norms),
            ops.logical_or(self.reached, ops.logical_and(better, reached)),
        )


class _Compiled(NamedTuple):
    """A search on a network, compiled."""

    weights: Callable[[], Any]
    logits: Callable[[Any, Tensor], Tensor]
    start: Callable[[Given], State]
    step: Callable[..., Any]


def carry_out(
    search: Search,
    model: Network,
    images: np.ndarray,
    goal: Goal,
    *,
    eps: np.ndarray,
    needed: np.ndarray,
    expected_norm: float,
    bounds: tuple[float, float],
    seeds: Sequence[tuple[int, int]],
    initial: np.ndarray | None,
    tick: Callable[[], None],
) -> AttackResult:
    """Carries a search out; arguments as in the call of an attack, and checked."""
    if hasattr(model, "compose_kernels"):
        model.compose_kernels()  # Once, and not at every step.
    parts = _compiled(search, model)
    weights = parts.weights()
    logits = parts.logits(weights, ops.convert_to_tensor(images))
    _check_classes(goal, logits.shape[-1])
    noise = np.stack([_noise(images.shape[1:], seed) for seed in seeds]) if search.noisy else 0.0
    given = _given(images, goal, logits, eps, needed, expected_norm, bounds, noise)
    hits = given.goal.hits(logits)
    best = _Best(given.images, hits, ops.zeros_like(given.eps), hits >= given.needed)
    state = parts.start(given)
    if initial is not None:
        state = {**state, "change": ops.convert_to_tensor(initial - images)}
    trace = [(best.norms, hits)]
    for number in range(search.steps):
        step = ops.convert_to_tensor(number, "int32")
        state, best, norms, hits = parts.step(weights, given, state, best, step)
        trace.append((norms, hits))
        tick()
    # The point after the last step has not been looked at.
    last = _boxed(given, state)
    norms = norms_above(last - given.images)
    hits = given.goal.hits(parts.logits(weights, last))
    best = best.or_better(given, last, hits, norms)
    trace.append((norms, hits))
    points = exactly_inside(ops.convert_to_numpy(best.images), images, eps)
    logits = parts.logits(weights, ops.convert_to_tensor(points))
    trace.append((exact_norms_above(points, images), given.goal.hits(logits)))
    return _result(points, trace, goal.counted, needed, search)


def _result(
    points: np.ndarray,
    trace: list[tuple[Any, Any]],
    counted: np.ndarray,
    needed: np.ndarray,
    search: Search,
) -> AttackResult:
    norms, hits = (
        np.stack([ops.convert_to_numpy(part) for part in parts])
        for parts in zip(*trace, strict=True)
    )
    return AttackResult(
        points,
        norms[-1],
        share_left(hits[-1], counted),
        hits[-1] >= needed if search.minimal else np.ones(len(points), bool),
        Envelope.of(norms, hits, counted),
        search.steps,
    )


def _check_classes(goal: Goal, num_classes: int) -> None:
    named = np.asarray(goal.classes)[np.asarray(goal.mask)]
    wrong = named[(named < 0) | (named >= num_classes)]
    if len(wrong):
        raise ValueError(
            f"Every pixel that counts must name one of {num_classes} classes. "
            + received(labels=sorted(set(wrong.tolist()))[:8])
        )


def _noise(shape: tuple[int, ...], seed: tuple[int, int]) -> np.ndarray:
    """By image, so that it does not depend on how images are put together in batches."""
    return np.random.default_rng(seed).standard_normal(shape, dtype="float32")


def _given(
    images: np.ndarray,
    goal: Goal,
    logits: Tensor,
    eps: np.ndarray,
    needed: np.ndarray,
    expected_norm: float,
    bounds: tuple[float, float],
    noise: Any,
) -> Given:
    tensors = Goal(*(ops.convert_to_tensor(part) for part in goal))
    budgets, margins = ops.convert_to_tensor(eps.astype("float32")), tensors.margins(logits)
    return Given(
        images=ops.convert_to_tensor(images),
        goal=tensors,
        eps=budgets,
        needed=ops.convert_to_tensor(needed.astype("int32")),
        expected=ops.convert_to_tensor(expected_norm, "float32"),
        lower=ops.convert_to_tensor(bounds[0], "float32"),
        upper=ops.convert_to_tensor(bounds[1], "float32"),
        clean_margins=margins,
        frontier=frontier(margins, tensors.mask, budgets),
        noise=ops.convert_to_tensor(noise, "float32"),
    )


def _compiled(search: Search, model: Network) -> _Compiled:
    """Compiled once for as long as the same search is carried out on the same network."""
    kept = search.__dict__.get("_kept")
    if kept is None or kept[0] is not model:
        kept = (model, _compile(search, model))
        search.__dict__["_kept"] = kept
    return kept[1]


def _compile(search: Search, model: Network) -> _Compiled:
    apply, weights = inference_of(model)

    def logits(weights: Any, points: Tensor) -> Tensor:
        return as_classes(apply(weights, points))

    def step(weights: Any, given: Given, state: State, best: _Best, number: Tensor) -> Any:
        points = _boxed(given, state)

        def objective(points: Tensor) -> tuple[Tensor, Any]:
            found, goal = logits(weights, points), given.goal
            margins = goal.margins(found)
            view = View(
                search.temperature * found,
                margins,
                ops.cast(goal.open(found), "float32"),
                goal,
                ops.cast(number, "float32") / search.steps,
                given.clean_margins,
                given.frontier,
            )
            losses = search.lowered(view, given, state)
            return ops.sum(losses), (losses, margins, goal.hits(found))

        (_, (losses, margins, hits)), gradient = value_and_gradient(objective, points)
        change = points - given.images
        seen = Seen(
            number,
            change,
            ops.where(ops.isfinite(gradient), gradient, 0.0),
            losses,
            margins,
            hits,
            hits >= given.needed,
            norms_above(change),
        )
        best = best.or_better(given, points, hits, seen.norms)
        return search.step(given, {**state, "change": change}, seen), best, seen.norms, hits

    functions = [compiled(each, xla=False) for each in (logits, search.start, step)]
    return _Compiled(weights, *functions)


def _boxed(given: Given, state: State) -> Tensor:
    return ops.clip(given.images + state["change"], given.lower, given.upper)
