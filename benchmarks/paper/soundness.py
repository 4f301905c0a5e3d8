"""What must never be seen."""

from __future__ import annotations

import numpy as np


class BrokenCertificateError(Exception):
    """An attack did more than was certified to be possible."""


def check_sound(attacked: np.ndarray, certified: np.ndarray, what: str) -> None:
    """Raises an error if a value under attack is below its certificate.

    Args:
        attacked: What an attack left of each image at each budget; NaN where it is not defined.
        certified: What no attack can go below, of the same shape.
        what: What the values are.
    """
    if attacked.shape != certified.shape:
        raise ValueError(
            f"`attacked` must have the shape of `certified`, {certified.shape}. "
            f"Received: shape={attacked.shape}"
        )
    below = np.argwhere(attacked < certified)
    if len(below):
        first = tuple(int(index) for index in below[0])
        raise BrokenCertificateError(
            f"A certificate is broken, {len(below)} times: {what} is {attacked[first]} where "
            f"{certified[first]} was certified, at (image, budget) {first}."
        )
