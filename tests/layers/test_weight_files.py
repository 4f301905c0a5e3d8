"""Files of weights: what they hold, and what comes of a file that someone has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from deel_seg.layers import OrthogonalConv2D
from tests.layers.contract import functional
from tests.linear_map import exceeds, matrix_of

SHAPE = (4, 5, 4)


def built() -> Any:
    """A strided layer, which has both kinds of factors."""
    layer = OrthogonalConv2D(6, 3, 2, name="edge")
    layer.build((None, *SHAPE))
    return layer


def _tamper(path: Path, factor: str, change: Any) -> None:
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if name.endswith(factor) else None)
        (name,) = found
        file[name][...] = change(file[name][...])


# Having met our refusal, Keras tries other ways into the file and warns of those.
@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("factor", ["projectors", "matrix"])
def test_a_tampered_file_is_brought_back_or_refused(factor: str, tmp_path: Path) -> None:
    model = functional(built(), SHAPE[-1])
    model.save_weights(tmp_path / "a.weights.h5")
    _tamper(tmp_path / "a.weights.h5", factor, lambda values: 3.0 * values + 0.1)
    with pytest.warns(UserWarning, match="'edge' were not orthonormal"):
        model.load_weights(tmp_path / "a.weights.h5")
    assert not exceeds(matrix_of(model, SHAPE), 1.0)
    _tamper(tmp_path / "a.weights.h5", factor, lambda values: np.nan * values)
    with pytest.raises(ValueError, match=r"'edge'.*NaN"):
        model.load_weights(tmp_path / "a.weights.h5")


def test_a_file_never_holds_a_kernel(tmp_path: Path) -> None:
    model = functional(built(), SHAPE[-1])
    model.layers[-1].condense()
    model.save_weights(tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5") as file:
        names: list[str] = []
        file.visit(names.append)
    assert not any("kernel" in name for name in names)


def test_a_file_of_other_weights_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'edge' expects the weights.*Received"):
        built().load_own_variables({"0": np.zeros(3)})
