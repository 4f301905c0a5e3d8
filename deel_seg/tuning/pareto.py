"""What no other one surpasses, for any number of objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deel_seg._checks import check_choice, received

DIRECTIONS = ("max", "min")


def non_dominated(values: Sequence[Sequence[float]], directions: Sequence[str]) -> list[int]:
    """The Pareto front: what no other one surpasses in one value without falling behind in another.

    Of several that are equal in every value, all are on the front. What has a value that is no
    number is not on it, and keeps nothing off it.

    Args:
        values: One sequence for each candidate, with a value for each objective.
        directions: `"max"` or `"min"` for each objective: whether more of it is better.

    Returns:
        The places of those on the front, in increasing order.

    Raises:
        ValueError: If a candidate has another number of values than there are directions.

    Example:
    >>> from deel_seg.tuning import non_dominated
    >>> non_dominated([(0.9, 0.1), (0.8, 0.3), (0.7, 0.2)], ["max", "max"])
    [0, 1]
    >>> non_dominated([(0.9, 0.1), (0.8, 0.3), (0.7, 0.2)], ["max", "min"])
    [0]
    """
    for direction in directions:
        check_choice("directions", direction, DIRECTIONS)
    if not len(directions) or any(len(each) != len(directions) for each in values):
        raise ValueError(
            "`values` must hold one number for each of `directions`. "
            + received(values=[list(each) for each in values], directions=list(directions))
        )
    if not len(values):
        return []
    signs = np.where([direction == "max" for direction in directions], 1.0, -1.0)
    gains = np.asarray(values, "float64") * signs
    # A comparison with NaN is false, so that it is neither as good as another nor better.
    as_good = (gains[:, None] >= gains[None]).all(axis=-1)
    better = (gains[:, None] > gains[None]).any(axis=-1)
    surpassed = (as_good & better).any(axis=0)
    return [int(place) for place in np.flatnonzero(~surpassed & ~np.isnan(gains).any(axis=-1))]
