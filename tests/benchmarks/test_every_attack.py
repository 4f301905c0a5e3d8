"""What attacks every network is compared with: it can fail, and says where."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("the experiments read tf.data streams", allow_module_level=True)

import deel_seg
from benchmarks.paper import every_attack
from benchmarks.paper.attacked_cases import Case
from benchmarks.paper.scales import EveryAttack
from benchmarks.paper.soundness import BrokenCertificateError
from deel_seg.attacks import PGD


def test_a_wrong_constant_ends_the_attacks_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pixel goes through an orthogonal matrix, so that certificates are exact."""
    inputs = keras.Input((None, None, 3))
    rotated = deel_seg.layers.OrthogonalConv2D(3, 1, use_bias=False)(inputs)
    model = deel_seg.LipschitzModel(inputs, rotated)
    generator = np.random.default_rng(0)
    images = generator.uniform(0.4, 0.6, (2, 8, 8, 3)).astype("float32")
    labels = keras.ops.convert_to_numpy(model(images)).argmax(-1)
    asked = EveryAttack(eps=(0.1, 0.3), thresholds=(0.5,), images=2, steps=20, suite="fast")
    context: Any = SimpleNamespace(
        scale=SimpleNamespace(every_attack=asked),
        model=lambda run: model,
        folder_of=lambda name: tmp_path,
    )
    hinge = {"PGD, squared hinge": PGD(loss="squared_hinge", steps=20)}
    monkeypatch.setattr(every_attack, "every_attack", lambda *_: hinge)
    case = Case("exact", images, labels, 1, 255, 1.0)
    found = every_attack.measure(context, case)
    assert found["comparisons"] > 0 and found["least_gap"]["accuracy"] >= 0
    right = every_attack.certified
    monkeypatch.setattr(every_attack, "certified", partial(right, constant=0.8))
    with pytest.raises(BrokenCertificateError, match=r"under PGD, squared hinge is .* where"):
        every_attack.measure(context, case)
