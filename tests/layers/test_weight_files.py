"""Files of weights: what they hold, and what comes of a file that someone has changed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deel_seg.layers import BatchCentering, OrthogonalConv2D, ScaledAdd, stored_weights
from deel_seg.layers.stored_weights import CHECKSUM
from tests.layers.contract import functional
from tests.linear_map import exceeds, matrix_of

SHAPE = (4, 5, 4)


def built() -> Any:
    """A strided layer, which has both kinds of factors."""
    layer = OrthogonalConv2D(6, 3, 2, name="edge")
    layer.build((None, *SHAPE))
    return layer


def _tamper(path: Path, factor: str, change: Any, *, mended: bool = True) -> None:
    """Edits weights, and their checksum too as somebody would who knows how."""
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if name.endswith(factor) else None)
        (name,) = found
        file[name][...] = change(file[name][...])
        if mended:
            weights = {key: item[...] for key, item in file[name].parent.items()}
            del weights[CHECKSUM]
            file[name].parent[CHECKSUM][...] = stored_weights._checksum(weights)


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


@pytest.mark.parametrize("change", [lambda w: 1.5 * w, lambda w: np.nan * w])
def test_weights_off_the_manifold_are_told_when_they_are_saved(change: Any, tmp_path: Path) -> None:
    model = functional(built(), SHAPE[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.save_weights(tmp_path / "a.weights.h5")
    matrix = model.layers[-1].matrix
    matrix.assign(change(np.asarray(matrix)))
    with pytest.warns(UserWarning, match=r"'matrix' of layer 'edge' are saved as they are"):
        model.save_weights(tmp_path / "a.weights.h5")


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("factor", ["projectors", "matrix", "bias", CHECKSUM])
def test_an_edited_file_is_refused_by_its_checksum(factor: str, tmp_path: Path) -> None:
    model = functional(built(), SHAPE[-1])
    model.save_weights(tmp_path / "a.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5")
    _tamper(tmp_path / "a.weights.h5", factor, lambda values: values + 1, mended=False)
    with pytest.raises(ValueError, match=r"'edge' in the file are not those that were written"):
        model.load_weights(tmp_path / "a.weights.h5")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "mixed_float16"])
def test_every_layer_with_weights_keeps_a_checksum(dtype: str, tmp_path: Path) -> None:
    image = keras.Input((None, None, 3), dtype=dtype if dtype == "bfloat16" else "float32")
    x = BatchCentering(dtype=dtype)(OrthogonalConv2D(4, 3, dtype=dtype)(image))
    model = keras.Model(image, ScaledAdd(learned=True, dtype=dtype)([x, x]))
    path = tmp_path / "a.weights.h5"
    model.save_weights(path)
    model.load_weights(path)
    found: list[str] = []
    with h5py.File(path) as file:
        file.visit(lambda name: found.append(name) if name.endswith(CHECKSUM) else None)
    assert len(found) == 3


class Written:
    """A model, a file of it, and what that holds."""

    def __init__(self, model: Any, path: Path) -> None:
        self.model = model
        self.path = path
        self.content = path.read_bytes()

    def __repr__(self) -> str:  # Of a data class hypothesis would show the 25 kB of the content.
        return f"Written({self.path.name!r})"


@pytest.fixture(scope="module", params=["a.weights.h5", "a.keras"])
def written(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Written:
    keras.utils.set_random_seed(0)
    model, path = functional(built(), SHAPE[-1]), tmp_path_factory.mktemp("files") / request.param
    (model.save if path.suffix == ".keras" else model.save_weights)(path)
    return Written(model, path)


def _read(path: Path) -> Any:
    if path.suffix == ".keras":
        return keras.saving.load_model(path)
    model = functional(built(), SHAPE[-1])
    model.load_weights(path)
    return model


def test_what_was_written_is_read(written: Written) -> None:
    pairs = zip(_read(written.path).get_weights(), written.model.get_weights(), strict=True)
    for weight, expected in pairs:
        np.testing.assert_array_equal(weight, expected)


# A byte in what a format leaves free, or in its own bookkeeping, changes no weight.
@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 2**20), bits=st.integers(1, 255))
@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_no_flipped_byte_changes_a_weight(written: Written, place: int, bits: int) -> None:
    flipped = bytearray(written.content)
    flipped[place % len(flipped)] ^= bits
    written.path.write_bytes(bytes(flipped))
    try:
        read = _read(written.path)
    except Exception as error:
        # What Python's reader of archives says of an offset beyond the end of the file.
        assert str(error) or isinstance(error, EOFError)
        return
    for weight, expected in zip(read.get_weights(), written.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


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
