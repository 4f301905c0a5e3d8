"""All attacks: what they return is what it says, and never beats an exact certificate."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.attacks import (
    ALMA,
    APGD,
    ASMA,
    DAG,
    DDN,
    FMN,
    PDPGD,
    PGD,
    ALMAProx,
    Attack,
    AttackResult,
    AttackSuite,
    CosPGD,
    SegPGD,
    fabrication,
    targeted,
    vanishing,
)
from deel_seg.attacks.contract import Given, Seen, State
from deel_seg.certificates import pixel_accuracy_radius, worst_case_pixel_accuracy
from tests.attacks.oracle import BOUNDS, identity, scenes

OPTIONS: dict[str, Any] = {"ignore_class": 255, "bounds": BOUNDS}
WITH_BUDGET = [
    PGD(steps=10), PGD(steps=10, random_start=True), SegPGD(steps=10), CosPGD(steps=10),
    APGD(steps=15), PGD(steps=10, loss="jensen_shannon"), PGD(steps=10, loss="boundary"),
    PGD(steps=10, loss="squared_hinge"),
]  # fmt: skip
MINIMAL = [
    DDN(steps=60), FMN(steps=60), DAG(steps=60), ALMA(steps=60), ALMAProx(steps=60),
    ASMA(steps=60), PDPGD(steps=100),
]  # fmt: skip


def named(attack: Attack) -> str:
    return f"{type(attack).__name__}-{getattr(attack, 'loss', '')}"


def looked_at_again(result: AttackResult, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    kept = labels != 255
    right = (result.images.argmax(-1) == labels) & kept
    np.testing.assert_allclose(
        result.norms,
        np.sqrt(((result.images.astype("float64") - images) ** 2).sum((1, 2, 3))),
        rtol=1e-12,
    )
    return right.sum((1, 2)) / kept.sum((1, 2))


@pytest.mark.parametrize("attack", WITH_BUDGET, ids=named)
def test_a_budget_is_kept_and_no_exact_certificate_beaten(attack: Attack) -> None:
    images, labels = scenes(3)
    eps = np.array([0.3, 1.0, 0.0])
    result = attack(identity, images, labels, eps=eps, **OPTIONS)
    assert np.all(result.norms <= eps)
    np.testing.assert_array_equal(result.accuracy, looked_at_again(result, images, labels))
    for image, budget in enumerate(eps):
        row = slice(image, image + 1)
        options = {"eps": float(budget), "ignore_class": 255}
        bound = worst_case_pixel_accuracy(images[row], labels[row], **options)
        found = result.envelope.accuracy(budget)[image]
        assert float(bound[0]) <= found <= result.accuracy[image]
    assert result.accuracy[1] < result.envelope.accuracy(0.0)[1]  # It does something.
    assert result.evaluations == attack.steps


@pytest.mark.parametrize("attack", MINIMAL, ids=named)
def test_a_threshold_is_reached_and_no_exact_radius_beaten(attack: Attack) -> None:
    images, labels = scenes(3)
    result = attack(identity, images, labels, threshold=0.6, expected_norm=2.0, **OPTIONS)
    assert np.all(result.reached)
    np.testing.assert_array_equal(result.accuracy, looked_at_again(result, images, labels))
    assert np.all(result.accuracy <= 0.6)
    for threshold in (0.6, 0.75):
        radius = pixel_accuracy_radius(images, labels, threshold=threshold, ignore_class=255)
        assert np.all(result.envelope.norm(threshold) >= ops.convert_to_numpy(radius))


@pytest.mark.one_backend
@pytest.mark.parametrize("attack", MINIMAL, ids=named)
def test_units_of_images_and_of_logits_do_not_matter(attack: Attack) -> None:
    """Lipschitz networks have small logits, and budgets of other sizes than ordinary ones."""
    images, labels = scenes(2)
    options = {"threshold": 0.6, "ignore_class": 255}
    low, high = BOUNDS
    plain = attack(identity, images, labels, expected_norm=2.0, bounds=BOUNDS, **options)
    assert np.all(plain.reached)
    for unit in (0.125, 8.0):
        scaled = attack(
            lambda x, unit=unit: 0.0625 / unit * x, unit * images, labels,
            expected_norm=2.0 * unit, bounds=(unit * low, unit * high), **options,
        )  # fmt: skip
        np.testing.assert_allclose(scaled.norms, unit * plain.norms, rtol=0.02)


@pytest.mark.parametrize("attack", [ALMA(steps=150), ALMAProx(steps=150)], ids=named)
def test_multipliers_come_near_an_exact_radius(attack: Attack) -> None:
    images, labels = scenes(3)
    result = attack(identity, images, labels, threshold=0.6, expected_norm=2.0, **OPTIONS)
    radius = pixel_accuracy_radius(images, labels, threshold=0.6, ignore_class=255)
    assert np.all(result.norms <= 1.04 * ops.convert_to_numpy(radius))


@pytest.mark.parametrize("attack", [*WITH_BUDGET, *MINIMAL], ids=named)
def test_images_do_not_depend_on_each_other(attack: Attack) -> None:
    images, labels = scenes(3)
    options = {**OPTIONS, **({"threshold": 0.6} if attack.minimal else {"eps": 0.5})}
    together = attack(identity, images, labels, **options)
    apart = attack(identity, images, labels, batch_size=2, **options)
    np.testing.assert_allclose(together.images, apart.images, atol=1e-4)
    again = attack(identity, images, labels, **options)
    np.testing.assert_array_equal(together.images, again.images)


@pytest.mark.one_backend
@pytest.mark.parametrize("attack", [*WITH_BUDGET, *MINIMAL], ids=named)
def test_a_single_logit_and_images_in_a_box(attack: Attack) -> None:
    generator = np.random.default_rng(0)
    images = generator.uniform(size=(2, 8, 8, 1)).astype("float32")
    labels = (images[..., 0] > 0.5).astype("int32")
    options: dict[str, Any] = {"threshold": 0.7} if attack.minimal else {"eps": 0.4}
    result = attack(lambda x: x - 0.5, images, labels, **options)
    assert np.all((result.images >= 0) & (result.images <= 1))
    assert np.all(result.accuracy < 1.0)
    bound = worst_case_pixel_accuracy(images - 0.5, labels, eps=0.4)
    assert np.all(result.envelope.accuracy(0.4) >= ops.convert_to_numpy(bound))


@pytest.mark.parametrize("attack", [*WITH_BUDGET[:1], *MINIMAL], ids=named)
def test_what_does_not_count_is_left_alone(attack: Attack) -> None:
    images, labels = scenes(2, size=8)
    labels[0] = 255
    labels[1, :4] = 255
    options: dict[str, Any] = {"threshold": 0.5} if attack.minimal else {"eps": 0.5}
    result = attack(identity, images, labels, **OPTIONS, **options)
    np.testing.assert_array_equal(result.images[0], images[0])
    assert np.isnan(result.accuracy[0]) and result.norms[0] == 0.0
    # Void pixels have no gradient, so that no budget is spent on them.
    np.testing.assert_array_equal(result.images[1, :4], images[1, :4])


def test_goals() -> None:
    images, labels = scenes(2)
    predicted = images.argmax(-1)
    gone = PGD(steps=20)(identity, images, vanishing(predicted, class_id=1), eps=5.0, bounds=BOUNDS)
    assert not np.any((gone.images.argmax(-1) == 1) & (predicted == 1))
    region = np.zeros(labels.shape, bool)
    region[:, 2:6, 2:6] = True
    made = DDN(steps=80)(identity, images, fabrication(region, class_id=2), bounds=BOUNDS)
    assert np.all(made.images.argmax(-1)[region] == 2)
    wanted = targeted((predicted + 1) % 3)
    asma = ASMA(steps=300, step_size=0.05)
    found = asma(identity, images, wanted, threshold=0.1, expected_norm=10.0, bounds=BOUNDS)
    assert np.all(found.reached)


@pytest.mark.one_backend
def test_the_gap_to_an_exact_certificate_closes() -> None:
    """Strong enough to reach what is possible, up to 1 % of the pixels."""
    images, labels = scenes(2)
    suite = AttackSuite("strong", temperature=20.0)
    for eps in (0.5, 1.0, 2.0):
        result = suite(identity, images, labels, eps=eps, **OPTIONS)
        bound = worst_case_pixel_accuracy(images, labels, eps=eps, ignore_class=255)
        bound = ops.convert_to_numpy(bound)
        assert np.all(result.accuracy >= bound)
        assert np.all(result.accuracy <= bound + 0.01)


@pytest.mark.one_backend
def test_a_constant_that_is_too_small_is_exposed() -> None:
    """Each pixel goes through an orthogonal matrix, so that the certificate is exact."""
    inputs = keras.Input((None, None, 3))
    rotated = deel_seg.layers.OrthogonalConv2D(3, 1, use_bias=False)(inputs)
    model = deel_seg.LipschitzModel(inputs, rotated)
    images, labels = scenes(2)
    logits, options = model(images), {"eps": 1.0, "ignore_class": 255}
    labels = np.where(labels == 255, 255, ops.convert_to_numpy(logits).argmax(-1))
    result = AttackSuite("strong")(model, images, labels, eps=1.0, **OPTIONS)
    right = worst_case_pixel_accuracy(
        logits, labels, lipschitz_constant=model.lipschitz_constant, **options
    )
    assert np.all(result.accuracy >= ops.convert_to_numpy(right))
    wrong = worst_case_pixel_accuracy(
        logits, labels, lipschitz_constant=0.8 * model.lipschitz_constant, **options
    )
    assert np.all(result.accuracy < ops.convert_to_numpy(wrong))


def test_a_curve_goes_on_from_smaller_budgets() -> None:
    images, labels = scenes(2)
    budgets = [1.0, 0.25, 0.5]
    results = AttackSuite("fast", temperature=20.0).curve(
        identity, images, labels, eps=budgets, **OPTIONS
    )
    accuracies = np.array([result.accuracy for result in results])
    assert np.all(accuracies[0] <= accuracies[2]) and np.all(accuracies[2] <= accuracies[1])
    for budget, result in zip(budgets, results, strict=True):
        assert np.all(result.norms <= budget)


def test_what_an_attack_claims_is_not_trusted() -> None:
    class Liar(PGD):
        def step(self, given: Given, state: State, seen: Seen) -> State:
            return {"change": 1e3 * ops.ones_like(seen.change)}  # Far outside of ball and box

    images, labels = scenes(2)
    result = Liar(steps=3)(identity, images, labels, eps=0.1, ignore_class=255, bounds=(-2.0, 2.0))
    np.testing.assert_array_equal(result.images, images)
    assert np.all(result.norms == 0.0)


def test_a_keras_model_with_weights_of_the_moment() -> None:
    """A compiled attack follows weights that change, on JAX too."""
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Rescaling(1.0)(keras.layers.Conv2D(3, 1)(inputs)))
    layer = model.layers[1]
    images, labels = scenes(2)
    attack = PGD(steps=3)
    layer.set_weights([np.eye(3, dtype="float32")[None, None], np.zeros(3, "float32")])
    first = attack(model, images, labels, eps=0.5, **OPTIONS)
    np.testing.assert_allclose(
        first.accuracy, attack(identity, images, labels, eps=0.5, **OPTIONS).accuracy, atol=0.01
    )
    layer.set_weights([-np.eye(3, dtype="float32")[None, None], np.zeros(3, "float32")])
    assert np.all(attack(model, images, labels, eps=0.5, **OPTIONS).accuracy < 0.3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": -1.0}, "`eps` must be finite"),
        ({"eps": None}, "needs a budget"),
        ({"eps": [0.1, 0.2, 0.3]}, "one for each image"),
        ({"threshold": 0.5}, "takes no `threshold`"),
        ({"images": np.zeros((2, 4, 4, 3), "int32")}, "must be floats"),
        ({"images": np.full((2, 4, 4, 3), np.nan, "float32")}, "within the bounds"),
        ({"images": np.full((2, 4, 4, 3), 200.0, "float32")}, "within the bounds"),
        ({"labels": np.zeros((2, 4, 5), int)}, "the shape of the images"),
        ({"labels": np.full((2, 4, 4), 3)}, r"one of 3 classes.*\[3\]"),
        ({"labels": np.zeros((2, 4, 4))}, "must be integers"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_bad_arguments(change: dict[str, Any], message: str) -> None:
    arguments = {
        "images": np.zeros((2, 4, 4, 3), "float32"),
        "labels": np.zeros((2, 4, 4), int),
        "eps": 0.5,
        "bounds": BOUNDS,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        PGD(steps=1)(identity, **arguments)


def test_bad_settings() -> None:
    for make, message in (
        (lambda: PGD(steps=0), "`steps`"),
        (lambda: PGD(loss="hinge"), "`loss` must be"),
        (lambda: DDN(norm_change=1.0), "`norm_change`"),
        (lambda: AttackSuite("slow"), "`preset`"),
        (lambda: AttackSuite(attacks=[]), "`attacks`"),
        (lambda: DDN()(identity, *scenes(1), eps=0.1, **OPTIONS), "looks for the least norm"),
        (lambda: DDN()(identity, *scenes(1), threshold=1.5, **OPTIONS), r"in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
