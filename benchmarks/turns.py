"""Times several things by turns, so that slow drift of the machine hits all of them alike."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.certificate_candidates import Candidate

MIN_TURNS = 3
SLOW = 0.2  # seconds: beyond that, what the call before left in caches and threads hardly counts


def take_turns(
    candidates: dict[str, Candidate],
    repeats: int,
    seconds: float,
    queued: int,
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Times all candidates; each turn of a fast one starts with a call that is not timed.

    That call finds the caches full of another candidate's data and the cores busy with another
    library's threads, which spin for a while after their work.

    Args:
        candidates: What to time, by name.
        repeats: Turns of each.
        seconds: After so many, a slow candidate has had enough turns, of which it has at least 3.
        queued: If not 0, each turn also times so many calls of which only the last is waited for.
        say: Told what is going on.

    Returns:
        For each candidate its median and quartiles in seconds, its turns, and its first call,
        compilation included.
    """
    first, turns = {}, {}
    for name, candidate in candidates.items():
        first[name] = _seconds(candidate, 1)
        again = _seconds(candidate, 1)
        calls = (1 if again > SLOW else 2) + queued
        turns[name] = int(np.clip(seconds / (again * calls), MIN_TURNS, repeats))
        say(f"  {name}: first call {first[name]:.2f} s, then {1e3 * again:.1f} ms")
        if name.startswith("floor/"):
            turns[name] = repeats  # All others are compared with it.
    single: dict[str, list[float]] = {name: [] for name in candidates}
    queues: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    generator = random.Random(0)
    gc.collect()
    gc.disable()
    for turn in range(repeats):
        generator.shuffle(order)
        for name in order:
            # Few turns are spread over the whole time.
            if (turn + 1) * turns[name] // repeats == turn * turns[name] // repeats:
                continue
            candidate = candidates[name]
            if not single[name] or single[name][-1] < SLOW:
                candidate.wait(candidate.call())
            single[name].append(_seconds(candidate, 1))
            if queued:
                queues[name].append(_seconds(candidate, queued))
    gc.enable()
    return {
        name: {
            **_summary(single[name]),
            "turns": turns[name],
            "first_call": first[name],
            **({"queued": _summary(queues[name])} if queued else {}),
        }
        for name in candidates
    }


def _seconds(candidate: Candidate, calls: int) -> float:
    """Seconds a call, of which only the last is waited for."""
    start = time.perf_counter()
    for _ in range(calls):
        result = candidate.call()
    candidate.wait(result)
    return (time.perf_counter() - start) / calls


def _summary(seconds: list[float]) -> dict[str, float]:
    lower, median, upper = np.quantile(seconds, [0.25, 0.5, 0.75])
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}
