from __future__ import annotations

import pytest

from deel_seg.certificates import CRPA
from tests.certificates.metrics.example import LABELS, LOGITS, compiled_model


@pytest.mark.parametrize("eps", [-0.1, float("nan"), float("inf"), "0.1", None, True])
def test_eps_is_checked(eps: object) -> None:
    with pytest.raises(ValueError, match="`eps`"):
        CRPA(eps)


def test_budgets_are_logged_under_their_names() -> None:
    metrics = [CRPA(eps, lipschitz_constant=1.0, name=f"crpa_{eps:.0f}") for eps in (0, 1, 3)]
    logs = compiled_model(*metrics).evaluate(LOGITS, LABELS, verbose=0, return_dict=True)
    assert logs["crpa_0"] > logs["crpa_1"] > logs["crpa_3"] >= 0
