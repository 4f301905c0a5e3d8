"""An evaluation on several devices: the same numbers, batch by batch."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import deel_seg
from deel_seg import _devices
from deel_seg.evaluation import measuring
from tests.distributed.devices import on_two_devices, split_processor

RANDOM = np.random.default_rng(0)
BATCHES = [
    (
        RANDOM.uniform(size=(2, 8, 8, 3)).astype("float32"),
        RANDOM.integers(0, 3, size=(2, 8, 8)).astype("int32"),
    )
    for _ in range(5)  # Two turns of two devices, and one that leaves a device without a batch.
]


def found(model: Any, **options: Any) -> Any:
    asked = {"eps": [0.0, 0.1], "ignore_class": 2, "positive_class": 1, "certified_iou": True}
    return deel_seg.evaluate(model, options.pop("data", BATCHES), verbose=0, **{**asked, **options})


def equal(first: Any, second: Any) -> bool:
    """Whether two evaluations agree in all but the seconds."""
    images = [
        {key: value for key, value in each.images.items() if not key.endswith("seconds")}
        for each in (first, second)
    ]
    for name in images[0]:
        np.testing.assert_array_equal(images[0][name], images[1][name], err_msg=name)
    return images[0].keys() == images[1].keys() and first.data_set == second.data_set


def compare(folder: str) -> dict[str, Any]:
    """Evaluates on one device and on two, and goes on on two after a part was lost."""
    keras.utils.set_random_seed(0)
    devices = keras.distribution.list_devices("cpu")
    used = []
    on_device = _devices.on_device
    measuring.on_device = lambda device: used.append(device) or on_device(device)
    model = deel_seg.LipFCN({"widths": [4], "convolutions": 1}, 3)
    alone = found(model)
    # Batches come in order, each with the sums up to it: what was stopped goes on from there.
    found(model, devices=devices, folder=folder, data=BATCHES[:3])
    kept = sorted(path.name for path in Path(folder).iterdir())
    both = found(model, devices=devices, folder=folder)
    same = {"model": equal(alone, both)}
    scaled = [
        found(lambda x: 2.0 * x, lipschitz_constant=2.0, certified_iou=False, devices=where)
        for where in (None, devices)
    ]
    same["function"] = equal(*scaled)
    return {
        "same": same,
        "used": {str(device): used.count(device) for device in [None, *devices]},
        "kept": kept,
        "values": np.unique(both.images["crpa"]).size,
    }


def test_two_devices_find_what_one_does() -> None:
    told = on_two_devices("evaluation.test_devices")
    assert told["same"] == {"model": True, "function": True}
    assert min(told["used"].values()) > 5, told
    assert "part_00002.npz" in told["kept"] and "part_00003.npz" not in told["kept"]
    assert told["values"] > 3


@pytest.mark.parametrize("devices", [[], ["cpu:7"], "gpu:99"])
def test_devices_that_are_not_there_are_named(devices: Any) -> None:
    with pytest.raises(ValueError, match="`devices` must name devices"):
        found(lambda x: x, devices=devices)


if __name__ == "__main__":
    split_processor()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(compare(str(Path(name) / "evaluation"))))
