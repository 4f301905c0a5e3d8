"""Connected regions from pixel to pixel, to compare with."""

from __future__ import annotations

from collections import deque

import numpy as np


def searched_regions(classes: np.ndarray, kept: np.ndarray, connectivity: int) -> np.ndarray:
    """The regions of one map by breadth-first search, numbered in reading order."""
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    if connectivity == 8:
        steps += [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    regions, count = np.zeros(classes.shape, int), 0
    for start in np.ndindex(*classes.shape):
        if regions[start] or not kept[start]:
            continue
        count += 1
        regions[start] = count
        queue = deque([start])
        while queue:
            row, column = queue.popleft()
            for down, right in steps:
                there = (row + down, column + right)
                if not all(0 <= i < n for i, n in zip(there, classes.shape, strict=True)):
                    continue
                if kept[there] and not regions[there] and classes[there] == classes[start]:
                    regions[there] = count
                    queue.append(there)
    return regions
