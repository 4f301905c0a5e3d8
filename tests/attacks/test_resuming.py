"""Attacks on many images that are stopped, and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg import LipschitzModel
from deel_seg._parts import PartsFolder
from deel_seg.attacks import DDN, PGD, Attack, AttackResult, AttackSuite, attack, vanishing
from deel_seg.layers import OrthogonalConv2D
from tests.attacks.oracle import BOUNDS, identity, scenes

OPTIONS: dict[str, Any] = {"ignore_class": 255, "bounds": BOUNDS, "batch_size": 2, "seed": 5}


def assert_same(one: AttackResult, other: AttackResult) -> None:
    assert one.arrays().keys() == other.arrays().keys()
    for name, values in one.arrays().items():
        np.testing.assert_array_equal(values, other.arrays()[name], err_msg=name)
        assert values.dtype == other.arrays()[name].dtype


@pytest.mark.parametrize(
    ("made", "options"),
    [(PGD(steps=6, random_start=True), {"eps": 0.4}), (DDN(steps=8), {"threshold": 0.3})],
)
def test_goes_on_where_it_was_stopped(
    made: Attack, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = scenes(5)
    options = {**options, **OPTIONS}
    whole = made(identity, images, labels, **options)
    carried_out: list[int] = []
    carry_out = attack.carry_out

    def stopping(*args: Any, **kwargs: Any) -> Any:
        carried_out.append(len(carried_out))
        if len(carried_out) == 2:
            raise KeyboardInterrupt
        return carry_out(*args, **kwargs)

    monkeypatch.setattr(attack, "carry_out", stopping)
    with pytest.raises(KeyboardInterrupt):
        made(identity, images, labels, folder=tmp_path, **options)
    assert_same(made(identity, images, labels, folder=tmp_path, **options), whole)
    assert len(carried_out) == 2 + 2  # Of three batches the first was not attacked again.
    assert_same(made(identity, images, labels, folder=tmp_path, **options), whole)
    assert len(carried_out) == 2 + 2


def test_a_folder_of_another_attack_is_refused(tmp_path: Path) -> None:
    images, labels = scenes(2)
    PGD(steps=2)(identity, images, labels, eps=0.2, folder=tmp_path, **OPTIONS)
    other = PGD(steps=3)
    others: list[tuple[str, Any]] = [
        ("attack", lambda: other(identity, images, labels, eps=0.2, folder=tmp_path, **OPTIONS)),
        ("targets", lambda: again(eps=0.3)),
        ("seed", lambda: again(seed=6)),
        ("images", lambda: again(images=images + np.float32(2.0**-10))),
        ("goal", lambda: again(labels=vanishing(labels, class_id=0))),
    ]

    def again(**changed: Any) -> AttackResult:
        given = {"images": images, "labels": labels, "eps": 0.2, **OPTIONS, **changed}
        return PGD(steps=2)(identity, **{"folder": tmp_path, **given})

    for name, call in others:
        with pytest.raises(ValueError, match=f"its `{name}` is"):
            call()
    with pytest.raises(ValueError, match="another function: `model` returns other values"):
        PGD(steps=2)(lambda x: -identity(x), images, labels, eps=0.2, folder=tmp_path, **OPTIONS)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`folder` must be empty"):
        again(folder=tmp_path / "b")


def test_infinite_logits_do_not_hide_another_function(tmp_path: Path) -> None:
    parts, images = PartsFolder(tmp_path, "parts", {}), np.zeros((1, 1, 2, 1), "float32")
    for added in (1.0, 1.0):
        parts.recognise(lambda x, added=added: x + np.float32([-np.inf, added]), images)
    with pytest.raises(ValueError, match="another function"):
        parts.recognise(lambda x: x + np.float32([-np.inf, 2.0]), images)


def test_a_part_that_was_not_written_to_its_end_is_none(tmp_path: Path) -> None:
    images, labels = scenes(2)
    whole = PGD(steps=2)(identity, images, labels, eps=0.2, folder=tmp_path, **OPTIONS)
    (part,) = tmp_path.glob("part_*.npz")
    part.with_suffix(".partial").write_bytes(part.read_bytes()[:100])
    part.unlink()
    again = PGD(steps=2)(identity, images, labels, eps=0.2, folder=tmp_path, **OPTIONS)
    assert_same(again, whole)


def test_a_suite_goes_on_with_the_attack_that_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = scenes(3)
    suite = AttackSuite(attacks=[PGD(steps=4), DDN(steps=5)])
    budgets = {"eps": [0.2, 0.4]}
    whole = suite.curve(identity, images, labels, **budgets, **OPTIONS)
    carried_out: list[int] = []
    carry_out = attack.carry_out

    def stopping(*args: Any, **kwargs: Any) -> Any:
        carried_out.append(len(carried_out))
        if len(carried_out) == 10:
            raise KeyboardInterrupt
        return carry_out(*args, **kwargs)

    monkeypatch.setattr(attack, "carry_out", stopping)
    with pytest.raises(KeyboardInterrupt):
        suite.curve(identity, images, labels, folder=tmp_path, **budgets, **OPTIONS)
    again = suite.curve(identity, images, labels, folder=tmp_path, **budgets, **OPTIONS)
    for found, expected in zip(again, whole, strict=True):
        assert_same(found, expected)
    # Two batches of three searches, and of four from the smaller budget on: nothing twice.
    assert len(carried_out) == 2 * (3 + 4) + 1


def test_an_attack_is_gone_on_with_by_the_same_function_made_anew(tmp_path: Path) -> None:
    """As in another process, where a function has another address."""
    images, labels = scenes(2)

    def attacking(scale: float) -> PGD:
        return PGD(steps=2, loss=lambda view: scale * view.margins)

    given: dict[str, Any] = {"eps": 0.4, "folder": tmp_path, **OPTIONS}
    first = attacking(-1.0)(identity, images, labels, **given)
    assert_same(attacking(-1.0)(identity, images, labels, **given), first)
    with pytest.raises(ValueError, match="its `attack` is"):
        attacking(-2.0)(identity, images, labels, **given)


def test_a_network_whose_kernels_were_not_composed_yet_is_the_same(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 3))
    model = LipschitzModel(inputs, OrthogonalConv2D(3, 1)(inputs))
    images, labels = scenes(2)
    given: dict[str, Any] = {"eps": 0.4, "folder": tmp_path, **OPTIONS}
    first = PGD(steps=2)(model, images, labels, **given)
    assert_same(PGD(steps=2)(model, images, labels, **given), first)
