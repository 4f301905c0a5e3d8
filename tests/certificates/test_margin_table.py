"""Tables of margins: too many of them for one call are refused."""

from __future__ import annotations

import numpy as np
import pytest

from deel_seg.certificates import worst_case_pixel_accuracy


@pytest.mark.every_set
@pytest.mark.parametrize(("images", "budgets"), [(1, 2**17), (2, 2**16)])
def test_more_slots_than_int32_counts_are_refused(images: int, budgets: int) -> None:
    """A slot beyond 2^31 has a negative number: its pixels would not count as lost."""
    logits = np.zeros((images, 1, 1, 2), "float32")
    eps = np.linspace(0.0, 1.0, budgets)
    with pytest.raises(ValueError, match=f"images={images}, of each={budgets}"):
        worst_case_pixel_accuracy(logits, np.zeros((images, 1, 1), int), eps=eps)
