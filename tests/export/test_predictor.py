"""A saved predictor gives the same answers elsewhere, and none that is better than before."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.certificates import pixel_radius, stability_radius, worst_case_stability
from deel_seg.export import CertifiedPredictor, certified_predictor, load_predictor
from deel_seg.lipschitz import UnknownLipschitzBound, certified_lipschitz_constant
from tests.vanilla.networks import move_weights, network

if keras.backend.backend() != "tensorflow":
    pytest.skip("predictors are written on TensorFlow", allow_module_level=True)

EPS = [0.05, 0.2]
IMAGES = np.random.default_rng(0).uniform(size=(2, 16, 24, 3)).astype("float32")
TINY = {"widths": [8, 16], "convolutions": 2, "aspp_rates": [2], "image_level": True}
FORMATS = ("saved_model", "onnx", "tflite")


def trained(num_classes: int = 3) -> deel_seg.LipDeepLabV3:
    model = deel_seg.LipDeepLabV3(TINY, num_classes, input_mean=[0.4] * 3, input_std=[0.5] * 3)
    move_weights(model)
    return model


@pytest.fixture(scope="module")
def model() -> deel_seg.LipDeepLabV3:
    keras.utils.set_random_seed(0)
    return trained()


@pytest.fixture(scope="module")
def predictor(model: deel_seg.LipDeepLabV3) -> CertifiedPredictor:
    return certified_predictor(model, eps=EPS)


@pytest.fixture(scope="module")
def folder(predictor: CertifiedPredictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tf2onnx")
    place = tmp_path_factory.mktemp("exported") / "predictor"
    predictor.save(place, formats=FORMATS)
    return place


def numbers(values: Any) -> np.ndarray:
    return ops.convert_to_numpy(values)


def better_than_before(answers: dict[str, Any], model: Any) -> set[str]:
    """Names of the answers above the library's own certificates of the library's own network."""
    logits, constant = model(IMAGES), model.proved_constant()
    before = {
        "radius": pixel_radius(logits, lipschitz_constant=constant),
        "stability_radius": stability_radius(logits, lipschitz_constant=constant),
        "crs": worst_case_stability(logits, eps=EPS, lipschitz_constant=constant),
    }
    return {
        name for name, value in before.items() if (numbers(answers[name]) > numbers(value)).any()
    }


@pytest.mark.slow
def test_no_certificate_is_better_than_before(model: Any, predictor: CertifiedPredictor) -> None:
    answers = predictor(IMAGES)
    np.testing.assert_array_equal(numbers(answers["labels"]), np.argmax(numbers(model(IMAGES)), -1))
    assert not better_than_before(answers, model)
    # And not much worse: what the tolerance for the logits of other programs takes off.
    logits = model(IMAGES)
    lost = numbers(pixel_radius(logits)) - numbers(answers["radius"])
    assert 0 < predictor.manifest.logit_tolerance < 1e-4
    assert np.max(lost) < 2.0 * predictor.manifest.logit_tolerance + 1e-4
    # The check can fail.
    answers["radius"] = answers["radius"] * 1.01
    assert better_than_before(answers, model) == {"radius"}


SERVED = """
import sys
sys.modules["deel_seg"] = sys.modules["deel"] = None  # As if they were not installed.
import numpy as np
folder, images = sys.argv[1], np.load(sys.argv[2])
"""
RUNS = {
    "saved_model": """
import tensorflow as tf
serve = tf.saved_model.load(folder + "/saved_model").signatures["serving_default"]
answers = serve(images=tf.constant(images))
""",
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
answers = dict(zip(names, session.run(None, {"images": images})))
""",
    "tflite": """
from ai_edge_litert.interpreter import Interpreter
answers = Interpreter(folder + "/model.tflite").get_signature_runner()(images=images)
""",
}
NEEDS = {"saved_model": "tensorflow", "onnx": "onnxruntime", "tflite": "ai_edge_litert"}


def run_elsewhere(form: str, folder: Path, images: np.ndarray, place: Path) -> Any:
    """The answers of a process that has only what serves the format."""
    pytest.importorskip(NEEDS[form])
    np.save(place / "images.npy", images)
    script = f"{SERVED}{RUNS[form]}np.savez(sys.argv[3], **{{k: v for k, v in answers.items()}})\n"
    command = [sys.executable, "-c", script, str(folder), "images.npy", "answers.npz"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(place / "answers.npz")


@pytest.mark.parametrize("form", FORMATS)
def test_served_where_the_library_is_not(
    form: str, folder: Path, model: Any, predictor: CertifiedPredictor, tmp_path: Path
) -> None:
    answers = run_elsewhere(form, folder, IMAGES, tmp_path)
    np.testing.assert_array_equal(answers["labels"], numbers(predictor(IMAGES)["labels"]))
    assert not better_than_before(dict(answers), model)
    for name in ("radius", "stability_radius", "crs"):
        # What float32 logits of other programs differ by; a pixel more or less of 384 in `crs`.
        slack = 1 / 384 + 1e-6 if name == "crs" else 1e-5
        np.testing.assert_allclose(answers[name], numbers(predictor(IMAGES)[name]), atol=slack)


@pytest.mark.parametrize("form", ["saved_model", "onnx"])
def test_nothing_is_certified_of_an_image_that_the_strides_do_not_divide(
    form: str, folder: Path, tmp_path: Path
) -> None:
    answers = run_elsewhere(form, folder, IMAGES[:, :14, :22], tmp_path)
    for name in ("radius", "stability_radius", "crs"):
        assert np.isnan(answers[name]).all()


def test_the_same_after_loading(folder: Path, predictor: CertifiedPredictor) -> None:
    loaded = load_predictor(folder, recompute=True)
    for name, values in predictor(IMAGES).items():
        np.testing.assert_array_equal(numbers(loaded(IMAGES)[name]), numbers(values))
    assert loaded.manifest.eps == tuple(EPS)
    assert loaded.fingerprint == predictor.fingerprint


def test_the_manifest_says_what_it_rests_on(folder: Path, model: Any) -> None:
    stated = json.loads((folder / "manifest.json").read_text())
    assert stated["lipschitz_constant"] == model.proved_constant()
    assert stated["proved_constant"] == certified_lipschitz_constant(model.vanilla_export())
    assert stated["obtained"] == "proved from the exported weights"
    assert stated["input_range"] == [0.0, 1.0] and stated["eps"] == EPS
    (normalization,) = stated["normalization"]
    assert np.allclose(normalization["mean"], 0.4) and np.allclose(normalization["variance"], 0.25)
    assert {"deel_seg", "keras", "tensorflow", "python"} <= set(stated["versions"])
    assert {"network.keras", "model.onnx", "saved_model/saved_model.pb"} <= set(stated["files"])


def test_an_ordinary_network_has_its_own_large_constant() -> None:
    twin = deel_seg.DeepLabV3({"widths": [8], "convolutions": 1, "aspp_rates": []}, 2)
    predictor = certified_predictor(twin, logit_tolerance=0.0)
    assert predictor.manifest.lipschitz_constant == certified_lipschitz_constant(twin)
    assert numbers(predictor(IMAGES)["radius"]).shape == IMAGES.shape[:3]


def test_a_network_whose_export_proves_no_constant_is_refused() -> None:
    model = network("norms")
    assert model.proved_constant() > 0  # Of other weights: those exported were rounded once more.
    with pytest.raises(UnknownLipschitzBound, match="no known Lipschitz bound"):
        certified_predictor(model, logit_tolerance=0.0)


def test_a_larger_constant_may_be_given_and_a_smaller_one_not(model: Any) -> None:
    predictor = certified_predictor(model, lipschitz_constant=2.0, fraction=Fraction(1, 3))
    assert predictor.manifest.lipschitz_constant == 2.0 and predictor.manifest.fraction == "1/3"
    with pytest.raises(ValueError, match=r"must not be below the network's, .*=0\.5"):
        certified_predictor(model, lipschitz_constant=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": []}, "`eps`"),
        ({"eps": [-1.0]}, "`eps` must be >= 0"),
        ({"fraction": 0.0}, "`fraction`"),
        ({"input_range": (1.0, 0.0)}, r"smaller one first.*input_range=\(1.0, 0.0\)"),
        ({"input_range": 1.0}, "`input_range` must be a pair of numbers"),
        ({"input_range": (0.0, float("nan"))}, "`input_range` must be a pair of numbers"),
        ({"logit_tolerance": -1.0}, "`logit_tolerance`"),
        ({"folder": "x", "formats": ["pb"]}, "`formats`"),
        ({"folder": "x", "formats": "onnx"}, "`formats` must be a sequence"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str, model: Any) -> None:
    with pytest.raises(ValueError, match=message):
        certified_predictor(model, **options)


def test_a_folder_is_written_whole_or_not_at_all(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = certified_predictor(model, logit_tolerance=0.0)
    place = tmp_path / "new" / "predictor"

    def fails(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("deel_seg.export.predictor.write_formats", fails)
        with pytest.raises(OSError, match="disk full"):
            predictor.save(place)
    assert list(place.parent.iterdir()) == []
    predictor.save(place, formats=())
    with pytest.raises(ValueError, match="`folder` must not exist"):
        predictor.save(place)
