"""What goes on with a training: the log of its epochs, its network, the time left."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from deel_seg import _fitting
from deel_seg._fitting import SaveLast, TimeLeft, rows_before

LOG = b"epoch,loss\r\n0,0.5\r\n1,0.25\r\n"


@pytest.mark.parametrize("rest", [b"", b"2,0.125\r\n", b"2", b"2,0.1", b"\r"])
def test_what_a_kill_left_of_a_row_is_cut_off(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(LOG + rest)
    assert [row["loss"] for row in rows_before(path, 2, cut=False)] == ["0.5", "0.25"]
    assert path.read_bytes() == LOG + rest, "only the one that writes cuts"
    assert len(rows_before(path, 2, cut=True)) == 2
    assert path.read_bytes().rstrip() == LOG.rstrip()
    assert rows_before(path, 0, cut=True) == [] and not path.exists()
    assert rows_before(path, 1, cut=True) == []


def test_a_network_whose_loss_is_no_number_is_not_saved(tmp_path: Path) -> None:
    save = SaveLast(tmp_path / "last.keras")
    inputs = keras.Input((1,))
    save.set_model(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    save.on_epoch_end(0, {"loss": np.float32("nan")})
    assert not list(tmp_path.iterdir())
    save.on_epoch_end(0, {"loss": np.float32(1.0)})
    assert [path.name for path in tmp_path.iterdir()] == ["last.keras"]


def test_the_time_left_is_judged_by_what_was_done_since(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(_fitting.time, "perf_counter", lambda: now)
    left = TimeLeft(10, done=5)
    assert left.words() == "5 left"
    left.add(measured=False)
    now += 8.0
    left.add()
    assert left.words() == "about 24 s left"
    now += 1200.0 - 8.0
    assert left.words() == "about 60 min left"
    now *= 100
    assert left.words().endswith(" h left")
