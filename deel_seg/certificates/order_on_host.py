"""Orders in the memory of the host: by the digits of whole numbers, not by comparing them."""

from __future__ import annotations

import numpy as np

from deel_seg._checks import received


def order_of(values: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """The places of values in increasing order, equal ones in the order in which they stand before.

    Args:
        values: `(values,)`, int32, `>= 0`.
        before: Places to be ordered; by default all, from the first to the last.

    Raises:
        ValueError: If a value is negative: its digits are those of a large one, and a certificate
            that took the largest margins for the smallest would be too good.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates.order_on_host import order_of
    >>> order_of(np.array([3, 70000, 3, 0], "int32")).tolist()
    [3, 0, 2, 1]
    """
    if values.min(initial=0) < 0:
        raise ValueError(f"`values` must not be negative. {received(least=int(values.min()))}")
    order = np.arange(len(values)) if before is None else before
    # NumPy sorts numbers of 16 bits by their digits, and keeps the order of equal ones.
    for digits in (values.astype(np.uint16), (values >> 16).astype(np.uint16)):
        if digits.any():
            order = order[np.argsort(digits[order], kind="stable")]
    return order


def bits_of(values: np.ndarray) -> np.ndarray:
    """Whole numbers that are ordered like floats `>= 0`, NaN after the last of them.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates.order_on_host import bits_of
    >>> bits_of(np.array([-0.0, 1e-45, 2.0, np.inf], "float32")).tolist()
    [0, 1, 1073741824, 2139095040]
    """
    return (values + np.float32(0)).view(np.int32)
