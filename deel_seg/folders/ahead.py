"""Work on one thing after the other, a few of them begun while the first is still waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with what `work` made of it, in their order.

    Args:
        pool: Where the work is done. What it raises comes up where its result would have come.
        work: What is done.
        items: Taken one by one, while others are worked on.
        most: How many may be begun beyond the one that is waited for.

    Example:
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from deel_seg.folders.ahead import ahead
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(ahead(pool, abs, [-1, 2, -3], most=1))
    [(-1, 1), (2, 2), (-3, 3)]
    """
    waiting: list[tuple[Item, Future[Result]]] = []
    for item in items:
        waiting.append((item, pool.submit(work, item)))
        if len(waiting) > most:
            first, future = waiting.pop(0)
            yield first, future.result()
    for item, future in waiting:
        yield item, future.result()
