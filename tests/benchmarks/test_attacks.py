"""The comparison of attacks: equal gradients, resumed, and never below a certificate."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("the benchmarks read tf.data streams", allow_module_level=True)

import deel_seg.attacks
from benchmarks import attacks, report_attacks, torch_network
from benchmarks.attacks import Case, compare
from benchmarks.paper.soundness import BrokenCertificateError
from benchmarks.published_attacks import published
from deel_seg.attacks import DDN, PGD, Attack, AttackSuite, LossAttack
from tests.attacks.oracle import identity, scenes


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Case:
    """The oracle, and few attacks."""
    images, labels = scenes(2, size=8)
    images = np.clip(0.5 + 0.3 * images, 0, 1)
    suite = AttackSuite(attacks=[PGD(steps=4, loss="squared_hinge")])
    monkeypatch.setattr(attacks, "AttackSuite", lambda *_, **__: suite)
    monkeypatch.setattr(
        attacks, "published", lambda steps, _: {"PGD": PGD(steps=steps), "DDN": DDN(steps=steps)}
    )
    monkeypatch.setattr(attacks, "with_our_loss", lambda steps: {})
    return Case(identity, images, labels, 255, 1.0, 1.0)


def test_every_attack_has_as_many_gradients_and_is_kept(case: Case) -> None:
    found: dict[str, Any] = {}
    kept = []
    compare(case, found, [0.1, 0.3], lambda: kept.append(1))
    assert len(kept) == 12
    for at_eps in found["attacks"].values():
        assert list(at_eps) == ["suite", "PGD", "DDN"]
        assert {each["gradients"] for each in at_eps.values()} == {4}
    accuracy = np.array([found["attacks"][eps]["suite"]["accuracy"] for eps in ("0.1", "0.3")])
    assert np.all(accuracy >= found["crpa"]) and np.all(accuracy[1] < found["clean"])
    del found["attacks"]["0.3"]["DDN"]["accuracy"][1]
    compare(case, found, [0.1, 0.3], lambda: kept.append(1))
    assert len(kept) == 13  # Only what is missing.


def test_an_accuracy_below_the_certificate_is_an_error(case: Case) -> None:
    with pytest.raises(BrokenCertificateError):
        compare(case._replace(constant=0.3), {}, [0.3], lambda: None)


def test_every_kind_of_attack_is_compared() -> None:
    kinds = {kind for _, kind in inspect.getmembers(deel_seg.attacks, inspect.isclass)}
    kinds = {kind for kind in kinds if issubclass(kind, Attack)} - {Attack, LossAttack}
    given = published(7, 2.0)
    assert {type(attack) for attack in given.values()} == kinds
    assert {attack.steps for attack in given.values()} == {7}


def test_a_stronger_attack_is_named() -> None:
    found = {"attacks": {"1": {"suite": {"accuracy": [0.5, 0.7]}}}}
    other = {"1": {"PGD": {"accuracy": [0.6, 0.5]}, "DAG": {"accuracy": [0.6, 0.7]}}}
    assert report_attacks.verdict(found, other) == "The suite leaves more than PGD at 1."


def test_a_package_is_compared_on_the_images_that_it_attacked() -> None:
    library = {
        "settings": {"eps": [1.0]}, "size": [6, 8], "clean": [0.9, 0.5], "crpa": [[0.3, 0.1]],
        "attacks": {"1": {"suite": {"accuracy": [0.6, 0.2]}}},
    }  # fmt: skip
    found: dict[str, Any] = {
        "images": 1, "adv-lib": "0", "torch": "0", "difference": 1e-7, "command": "",
        "attacks": {"1": {"ASMA": {"accuracy": [0.5]}}},
    }  # fmt: skip
    text = report_attacks.of_package("camvid_s", found, library)
    assert "| **strong suite** | **60.00** |" in text
    assert "leaves more than ASMA at 1" in text
    found["attacks"]["1"]["ASMA"]["accuracy"] = [0.7]
    assert "leaves less" in report_attacks.of_package("camvid_s", found, library)


def plain_model(last: keras.Layer) -> keras.Model:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    x = keras.layers.Concatenate()([x, keras.layers.Rescaling(1.0, [0.1, 0.2, 0.3, 0.4])(x)])
    x = keras.layers.Conv2D(6, 3, dilation_rate=2, padding="same", use_bias=False)(x)
    x = keras.layers.Maximum()([x, keras.layers.Rescaling(-0.5)(x)])
    x = keras.layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
    return keras.Model(inputs, last(x))


def test_the_network_in_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = plain_model(keras.layers.Conv2DTranspose(4, 2, strides=2, padding="same"))
    images = np.random.default_rng(0).random((2, 10, 6, 3)).astype("float32")
    torch_network.write_network(model, tmp_path / "network.npz")
    network = torch_network.TorchNetwork(tmp_path / "network.npz")
    logits = network(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(logits.transpose(0, 2, 3, 1), model(images), atol=1e-5)


def test_a_layer_without_a_form_in_pytorch(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no form in PyTorch.*Softmax"):
        torch_network.write_network(plain_model(keras.layers.Softmax()), tmp_path / "network.npz")
