"""What may be given as a model, and what is said of everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers

import deel_seg
from deel_seg.folders import RefusedModel, open_predictor


class OwnCall(keras.Model):
    """May compute anything."""

    def call(self, inputs: Any) -> Any:
        return inputs


def sequential(last: Any) -> keras.Model:
    return keras.Sequential([keras.Input((None, None, 3)), last])


def test_a_saved_sequential_model_is_one_of_its_layers(tmp_path: Path) -> None:
    sequential(layers.Conv2D(2, 3, padding="same")).save(tmp_path / "model.keras")
    predictor = open_predictor(tmp_path / "model.keras")
    assert predictor.manifest.lipschitz_constant > 0


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: sequential(layers.Conv2D(2, 3, activation="softmax")), "no known Lipschitz bound"),
        (lambda: sequential(layers.Conv2D(2, 3)), "Logits need the height and width of the image"),
        (lambda: keras.Sequential([layers.Conv2D(2, 3)]), "Only functional"),
        (OwnCall, "Only functional"),
    ],
    ids=["softmax", "no padding", "not built", "own call"],
)
def test_what_cannot_be_certified_is_refused_in_a_sentence(build: Any, reason: str) -> None:
    with pytest.raises(RefusedModel, match=f"Nothing can be certified of .*{reason}") as refused:
        open_predictor(build())
    assert "\n" not in str(refused.value) and "deel_seg.LipDeepLabV3" in str(refused.value)


def test_a_softmax_that_was_saved_is_refused_too(tmp_path: Path) -> None:
    sequential(layers.Conv2D(2, 3, activation="softmax")).save(tmp_path / "model.keras")
    with pytest.raises(RefusedModel, match="no known Lipschitz bound"):
        open_predictor(tmp_path / "model.keras")


def test_files_that_hold_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"no zip")
    with pytest.raises(RefusedModel, match="cannot be read as a Keras model"):
        open_predictor(tmp_path / "model.keras")
    with pytest.raises(RefusedModel, match=r"must be a \.keras file that is there"):
        open_predictor(tmp_path / "other.keras")
    with pytest.raises(RefusedModel, match=r"with a manifest"):
        open_predictor(tmp_path)
    model = deel_seg.LipFCN({"widths": [4], "convolutions": 1}, 3)
    assert open_predictor(open_predictor(model)).manifest.lipschitz_constant == 1.0
