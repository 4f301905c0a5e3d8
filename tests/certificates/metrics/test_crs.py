from __future__ import annotations

import numpy as np
import pytest

from deel_seg.certificates import CRS
from tests.certificates.metrics.example import LABELS, LOGITS


@pytest.mark.parametrize("eps", [-0.1, float("nan"), "0.1", None])
def test_eps_is_checked(eps: object) -> None:
    with pytest.raises(ValueError, match="`eps`"):
        CRS(eps)


def test_labels_do_not_matter_unless_ignored() -> None:
    results = []
    for labels in (LABELS, np.full_like(LABELS, 99)):
        metric = CRS(0.3, lipschitz_constant=1.0)
        metric.update_state(labels, LOGITS)
        results.append(float(metric.result()))
    assert 0 < results[0] == results[1] < 1
