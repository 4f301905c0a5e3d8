"""Whatever is changed in an exported folder is refused, with a message that says what."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deel_seg
from deel_seg.export import RefusedArtefact, certified_predictor, load_predictor, verify_folder
from deel_seg.export.hashes import file_sha256, text_sha256, weights_sha256
from deel_seg.export.manifest import Manifest

if keras.backend.backend() != "tensorflow":
    pytest.skip("predictors are written on TensorFlow", allow_module_level=True)

CONFIG = {"widths": [8], "convolutions": 1, "aspp_rates": []}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    keras.utils.set_random_seed(0)
    place = tmp_path_factory.mktemp("tampering") / "predictor"
    model = deel_seg.LipDeepLabV3(CONFIG, num_classes=2)
    return place, certified_predictor(model, logit_tolerance=0.0).save(place)


@pytest.fixture
def copy(written: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(written[0], tmp_path / "copy"))


def edit_manifest(folder: Path, **values: Any) -> None:
    """Edits values and mends every hash, as somebody would who knows how."""
    path = folder / "manifest.json"
    stated = {**json.loads(path.read_text()), **values}
    stated["files"] = {name: file_sha256(folder / name) for name in stated["files"]}
    path.write_text(json.dumps(stated, indent=2) + "\n")
    (folder / "manifest.sha256").write_text(text_sha256(path.read_text()) + "\n")


def test_what_was_written_is_accepted(written: tuple[Path, str]) -> None:
    folder, fingerprint = written
    verify_folder(folder)
    verify_folder(folder, fingerprint=fingerprint)
    load_predictor(folder, fingerprint=fingerprint, recompute=True)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_flipped_byte_is_accepted(written: tuple[Path, str], data: st.DataObject) -> None:
    folder, _ = written
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    before = path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    flipped = bytearray(before)
    flipped[place] ^= data.draw(st.integers(1, 255))
    try:
        path.write_bytes(bytes(flipped))
        with pytest.raises(RefusedArtefact, match=r"manifest|network|saved_model"):
            load_predictor(folder)
    finally:
        path.write_bytes(before)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_file_cut_short_or_grown_is_accepted(
    written: tuple[Path, str], data: st.DataObject
) -> None:
    folder, _ = written
    path = data.draw(st.sampled_from(sorted(p for p in folder.rglob("*") if p.is_file())))
    before = path.read_bytes()
    kept = data.draw(st.integers(0, len(before) - 1))
    after = data.draw(st.sampled_from([before[:kept], before + b"\n", before + before[: kept + 1]]))
    try:
        path.write_bytes(after)
        with pytest.raises(RefusedArtefact):
            verify_folder(folder)
    finally:
        path.write_bytes(before)


def test_a_hash_cut_by_its_line_end_is_not_accepted(copy: Path) -> None:
    path = copy / "manifest.sha256"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RefusedArtefact, match=r"not that of manifest\.sha256"):
        verify_folder(copy)


def test_files_that_are_missing_or_added_are_named(copy: Path) -> None:
    (copy / "extra.txt").write_text("hello")
    with pytest.raises(RefusedArtefact, match=r"'extra\.txt' is not in the manifest"):
        verify_folder(copy)
    (copy / "extra.txt").unlink()
    (copy / "network.keras").rename(copy / "saved_model" / "network.keras")
    with pytest.raises(RefusedArtefact, match=r"'network\.keras' is missing"):
        verify_folder(copy)
    with pytest.raises(RefusedArtefact, match=r"'manifest\.json' cannot be read"):
        verify_folder(copy / "nowhere")


def test_a_constant_edited_with_all_hashes_mended(copy: Path, written: tuple[Path, str]) -> None:
    proved = json.loads((copy / "manifest.json").read_text())["proved_constant"]
    edit_manifest(copy, lipschitz_constant=0.5, proved_constant=0.5)
    load_predictor(copy)  # The folder agrees with itself: that is all hashes in it can tell.
    with pytest.raises(RefusedArtefact, match="hash is not that of fingerprint"):
        load_predictor(copy, fingerprint=written[1])
    with pytest.raises(RefusedArtefact, match=rf"prove the constant {proved}.*=0\.5"):
        load_predictor(copy, recompute=True)


@pytest.mark.parametrize("scale", [1.001, 3.0])
def test_weights_scaled_with_all_hashes_mended(copy: Path, scale: float) -> None:
    network = keras.saving.load_model(copy / "network.keras")
    kernel = network.get_layer("encoder1_1_conv_first").kernel
    kernel.assign(scale * kernel)
    network.save(copy / "network.keras")
    edit_manifest(copy)
    with pytest.raises(RefusedArtefact, match="are not those that the manifest names"):
        load_predictor(copy)
    edit_manifest(copy, weights_sha256=weights_sha256(network))
    with pytest.raises(RefusedArtefact, match="which is above the manifest's"):
        load_predictor(copy, recompute=True)


def test_a_network_that_would_run_code_is_refused(copy: Path) -> None:
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Lambda(lambda x: x[..., :2])(image))
    network.save(copy / "network.keras")
    edit_manifest(copy)
    with pytest.raises(RefusedArtefact, match=r"cannot be loaded"):
        load_predictor(copy)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(data=st.data())
def test_a_manifest_that_makes_no_sense_is_refused(
    written: tuple[Path, str], data: st.DataObject
) -> None:
    stated = json.loads((written[0] / "manifest.json").read_text())
    name = data.draw(st.sampled_from(sorted(stated)))
    value = data.draw(JSON)
    if data.draw(st.booleans()):
        del stated[name]
    else:
        stated[name] = value
    try:
        manifest = Manifest.from_json(json.dumps(stated))
    except RefusedArtefact as error:
        assert str(error).startswith("The manifest")
        return
    # What was let through is of the kind that belongs there.
    assert name != "format"
    assert manifest.lipschitz_constant > 0 and manifest.logit_tolerance >= 0
    assert all(eps >= 0 for eps in manifest.eps) and np.isfinite(manifest.lipschitz_constant)
    assert manifest.proved_constant <= manifest.lipschitz_constant


@given(text=st.text(max_size=30) | st.just('{"format": NaN}'))
def test_a_manifest_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RefusedArtefact, match="The manifest"):
        Manifest.from_json(text)
