"""What is searched, the networks that it makes, and the objectives."""

from __future__ import annotations

import sys
from typing import Any

import keras
import keras_tuner
import pytest

import deel_seg
from deel_seg import tuning
from deel_seg.certificates import CRPA, CertifiedFNR, PixelAccuracy
from deel_seg.tuning.spaces import Space

SMALL = {"widths": [4], "convolutions": 1}


def hypermodel(**changes: Any) -> Any:
    options: dict[str, Any] = {
        "num_classes": 3, "metrics": [PixelAccuracy(), CRPA(0.1)], "steps": 4,
        "model": deel_seg.LipFCN, "config": SMALL,
    }  # fmt: skip
    return tuning.SegmentationHyperModel(**{**options, **changes})


def test_a_network_has_the_hyperparameters_of_its_trial() -> None:
    made = hypermodel(temperature=[1.0, 20.0], width=[1.0, 2.0], learning_rate=[1e-3, 1e-2])
    hp = keras_tuner.HyperParameters()
    made.build(hp)
    hp.values = {"temperature": 20.0, "width": 2.0, "learning_rate": 1e-2}
    model = made.build(hp)
    assert model.loss.get_config()["temperature"] == 20.0
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-2)
    assert 8 in {layer.output.shape[-1] for layer in model.layers}
    assert model.lipschitz_constant == 1.0


def test_two_networks_share_no_metric() -> None:
    made = hypermodel(temperature=[1.0])
    first, second = (made.build(keras_tuner.HyperParameters()) for _ in range(2))
    shared = {id(metric) for metric in first.metrics} & {id(metric) for metric in second.metrics}
    assert not shared
    assert made.metrics[1].effective_lipschitz_constant is None


def test_a_space_is_a_number_a_list_or_a_range() -> None:
    hp = keras_tuner.HyperParameters()
    assert Space("fixed", 3).choose(hp) == 3.0
    assert Space("listed", [2, 4]).choose(hp) == 2.0
    assert Space("ranged", {"min": 1, "max": 100, "sampling": "log", "step": 10}).choose(hp) == 1.0
    assert [each.name for each in hp.space] == ["listed", "ranged"]
    assert list(hp.space[1].values) == pytest.approx([1.0, 10.0, 100.0])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, "`temperature` must be > 0. Received: temperature=0.0"),
        ("5", "`temperature` must be a finite number. Received: temperature='5'"),
        ([], "one number or more"),
        ([1.0, 1.0], "each of them once"),
        ([1.0, -1.0], "temperature=-1.0"),
        ({"min": 1.0}, "a range with min, max"),
        ({"min": 1.0, "max": 2.0, "steps": 2}, "a range with min, max"),
        ({"min": 2.0, "max": 1.0}, "`temperature.max` must be > 2"),
        ({"min": 1.0, "max": 2.0, "sampling": "cubic"}, "`temperature.sampling` must be one of"),
        ({"min": 1.0, "max": 2.0, "sampling": "log", "step": 0.5}, "must be above 1"),
    ],
)
def test_what_is_no_space_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        hypermodel(temperature=value)


def test_other_models_are_refused() -> None:
    with pytest.raises(ValueError, match="`model` must be a model class of deel_seg"):
        hypermodel(model=keras.Model)


def test_an_objective_knows_its_direction() -> None:
    fnr = tuning.certified_objective(CertifiedFNR(0.1, 1))
    assert (fnr.name, fnr.direction) == ("val_certified_fnr_1", "min")
    assert tuning.certified_objective(keras.metrics.Mean("m"), direction="max").name == "val_m"
    with pytest.raises(ValueError, match="`direction` must be given"):
        tuning.certified_objective(keras.metrics.Mean("m"))


def test_without_keras_tuner_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith("deel_seg.tuning.")]:
        if name.rsplit(".", 1)[1] not in ("pareto", "sweep_result"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    for name in ("SegmentationHyperModel", "certified_objective", "sweep"):
        with pytest.raises(ImportError, match=r"pip install 'deel_seg\[tuner\]'"):
            getattr(tuning, name)
    assert tuning.non_dominated([(1.0,)], ["max"]) == [0]
