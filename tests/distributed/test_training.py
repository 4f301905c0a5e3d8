"""The same training on one device and on two: weights, metrics, certificates and files."""

from __future__ import annotations

from tests.distributed.devices import on_two_devices


def test_two_devices_train_as_one_does() -> None:
    found = on_two_devices("distributed.train_twice")
    assert found["names"]
    # Float32 sums in another order, over six steps; certificates are counted in whole pixels.
    assert max(found["history"].values()) < 1e-5, found
    assert {"val_crpa", "val_crpa@0_1", "certified_lipschitz_constant"} <= set(found["history"])
    assert found["weights"] < 1e-5, found
    assert found["moved"] > 0.01, found
    assert found["epochs"][0] == found["epochs"][1]
    if found["resumed"] is not None:
        assert found["iterations"] > 2 and found["resumed"] < 1e-5, found
    # Where each replica subtracts the mean of its own images, it is noticed.
    assert found["broken"] is None or found["broken"] > 1e-3, found
