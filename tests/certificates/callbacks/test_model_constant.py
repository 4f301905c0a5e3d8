from __future__ import annotations

import math
from types import SimpleNamespace

import keras
import pytest

from deel_seg.certificates.callbacks.model_constant import (
    certifying_constant,
    own_constant_if_known,
)
from deel_seg.layers import OrthogonalConv2D
from deel_seg.models import LipschitzModel

INPUTS = keras.Input((None, None, 3))


def test_the_models_own_unless_given() -> None:
    model = LipschitzModel(INPUTS, OrthogonalConv2D(3, 1, k_coef_lip=2.0)(INPUTS))
    assert own_constant_if_known(model) == certifying_constant(model, None, 2) == 2.0
    assert certifying_constant(model, 3.0, 2) == 3.0
    with pytest.raises(ValueError, match=r"below the model's, 2\.0.*lipschitz_constant=1\.5"):
        certifying_constant(model, 1.5, 2)


@pytest.mark.parametrize("p", [1, math.inf])
def test_a_constant_in_l2_is_none_in_other_norms(p: float) -> None:
    model = LipschitzModel(INPUTS, OrthogonalConv2D(3, 1)(INPUTS))
    with pytest.raises(ValueError, match=r"not known.*lipschitz_constant=None"):
        certifying_constant(model, None, p)
    assert certifying_constant(model, 0.5, p) == 0.5


def test_a_model_that_knows_none() -> None:
    plain = keras.Model(INPUTS, keras.layers.Dense(3)(INPUTS))
    with pytest.raises(ValueError, match="not known: pass lipschitz_constant"):
        certifying_constant(plain, None, 2)
    assert own_constant_if_known(plain) is None
    assert certifying_constant(plain, 7.0, 2) == 7.0


def test_a_model_with_a_layer_of_unknown_bound() -> None:
    model = LipschitzModel(INPUTS, keras.layers.Softmax(name="unknown", axis=(1, 2))(INPUTS))
    if own_constant_if_known(model) is not None:
        pytest.skip("the bound of this layer has become known")
    with pytest.raises(ValueError, match="unknown"):
        certifying_constant(model, None, 2)
    assert certifying_constant(model, 7.0, 2) == 7.0


def test_a_constant_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"model\.lipschitz_constant"):
        certifying_constant(SimpleNamespace(lipschitz_constant=math.nan), None, 2)
