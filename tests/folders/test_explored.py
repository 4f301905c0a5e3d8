"""Levels say of every budget exactly which pixels the library loses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import (
    list_regions,
    pixel_radius,
    region_radius,
    worst_case_pixel_accuracy,
    worst_case_segmentation,
    worst_case_stability,
)
from deel_seg.certificates.margins import class_margins
from deel_seg.folders.explored import REPORT, explored, lost_pixels
from deel_seg.folders.stops import MOST_STOPS, budget_stops

SIZE, VOID = (9, 14), 255
OPTIONS = {"lipschitz_constant": 1.25, "logit_tolerance": 2.0**-20}
STOPS = [0.0, 0.05, 0.125, 0.4, 1.0, 3.0, 50.0]

pytestmark = pytest.mark.one_backend


def example(num_logits: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits on a coarse grid, so that many pixels tie, and labels with void."""
    generator = np.random.default_rng(num_logits)
    logits = np.round(8 * generator.normal(size=(*SIZE, num_logits))).astype("float32") / 32
    labels = generator.integers(0, max(num_logits, 2), SIZE).astype("uint8")
    labels[:, :3] = logits[:, :3].argmax(-1) if num_logits > 1 else logits[:, :3, 0] > 0
    labels[0, 4:7] = VOID
    return logits, labels


def predicted_of(logits: np.ndarray) -> np.ndarray:
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype("uint8")
    return logits.argmax(axis=-1).astype("uint8")


def second_of(logits: np.ndarray) -> np.ndarray:
    if logits.shape[-1] == 1:
        return (logits[..., 0] <= 0).astype("uint8")
    return (-logits).argsort(axis=-1, kind="stable")[..., 1].astype("uint8")


def certified(logits: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """What `Measure` finds, out of the public certificates."""
    batch = logits[None]
    counted = np.ones((1, *SIZE), bool) if labels is None else labels[None] != VOID
    tolerance = ops.convert_to_tensor(OPTIONS["logit_tolerance"], "float64")
    found = {
        "predicted": predicted_of(logits),
        "radius": ops.convert_to_numpy(pixel_radius(batch, **OPTIONS))[0],
        "margins": ops.convert_to_numpy(
            class_margins(ops.convert_to_tensor(batch), None, tolerance, logits.shape[-1])
        )[0],
        "second": second_of(logits),
        "stop_crs": ops.convert_to_numpy(
            worst_case_stability(batch, eps=STOPS, mask=counted, **OPTIONS)
        )[0],
    }
    if labels is not None:
        accuracy = worst_case_pixel_accuracy(
            batch, labels[None].astype(int), eps=STOPS, ignore_class=VOID, **OPTIONS
        )
        found["stop_crpa"] = ops.convert_to_numpy(accuracy)[0]
    return found


def explore(logits: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    found = certified(logits, labels)
    return explored_at_stops(found, labels, logits.shape[-1])


def explored_at_stops(
    found: dict[str, np.ndarray], labels: np.ndarray | None, num_logits: int
) -> dict[str, np.ndarray]:
    constant = OPTIONS["lipschitz_constant"]
    return explored(found, labels, STOPS, lipschitz_constant=constant, num_logits=num_logits)


def of_report(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(REPORT): value for name, value in found.items() if REPORT in name}


@pytest.fixture(scope="module", params=[3, 1])
def case(request: Any) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    logits, labels = example(request.param)
    return logits, labels, explore(logits, labels)


@pytest.mark.slow
def test_each_pixel_is_lost_when_the_library_loses_it(case: Any) -> None:
    logits, labels, found = case
    report, predicted = of_report(found), found["predicted"]
    counted = labels != VOID
    right = counted & (labels == predicted)
    batch = {"eps": STOPS, **OPTIONS}
    alone_map = ops.convert_to_numpy(pixel_radius(logits[None], **OPTIONS))[0]
    stability = worst_case_segmentation(logits[None], mask=counted[None], **batch)
    accuracy = worst_case_segmentation(
        logits[None], labels[None].astype(int), ignore_class=VOID, **batch
    )
    for stop, eps in enumerate(STOPS):
        assert ((report["level"] >= report["alone"][stop]) == (alone_map > eps)).all()
        for cut, among, expected in (
            (report["lost"], counted, stability),
            (report["lost_right"], right, accuracy),
        ):
            lost = among & (report["level"] < cut[stop])
            drawn = np.where(lost, report["second"], predicted)
            assert (drawn == ops.convert_to_numpy(expected)[0, stop]).all(), eps


def test_counts_are_the_certified_shares(case: Any) -> None:
    _, labels, found = case
    report, counted = of_report(found), labels != VOID
    right = counted & (labels == found["predicted"])
    for stop in range(len(STOPS)):
        below = report["level"] < report["lost"][stop]
        kept = int((counted & ~below).sum())
        assert kept == counted.sum() - report["lost_count"][stop]
        assert np.float32(report["crs"][stop]) <= kept / counted.sum() < report["crs"][stop] + 2e-7
        still = int((right & ~(report["level"] < report["lost_right"][stop])).sum())
        assert report["crpa"][stop] <= still / counted.sum() < report["crpa"][stop] + 2e-7


def test_a_level_bears_no_radius_above_its_pixels(case: Any) -> None:
    _, _, found = case
    report = of_report(found)
    assert (report["level_radius"][report["level"]] <= found["radius"]).all()
    assert (report["level_radius"] > 0).any()


def test_regions_are_those_of_the_library(case: Any) -> None:
    logits, _, found = case
    report = of_report(found)
    expected = region_radius(logits[None], **OPTIONS)
    radius = ops.convert_to_numpy(expected.radius)[0]
    for stop, eps in enumerate(STOPS):
        assert ((report["region_level"] > stop) == (radius > eps)).all()
    [regions] = list_regions(expected, logits[None])
    held = [sum(region.radius > eps for region in regions) for eps in STOPS]
    assert report["regions_held"].tolist() == [*held, len(regions)]
    largest = max(regions, key=lambda region: region.pixels)
    pixels, row, column, least = report["regions"][0]
    assert (pixels, np.float32(least)) == (largest.pixels, np.float32(largest.radius))
    inside = found["predicted"][int(row), int(column)]
    assert inside == largest.class_id


def test_without_labels_and_without_a_certificate() -> None:
    logits, _ = example(3)
    report = of_report(explore(logits, None))
    assert "crpa" not in report and "lost_right" not in report
    broken = certified(logits, None)
    for name in ("radius", "margins", "stop_crs"):
        broken[name] = np.full_like(broken[name], np.nan)
    found = of_report(explored_at_stops(broken, None, 3))
    assert (found["lost_count"] == logits[..., 0].size).all()
    assert (found["level"] < found["alone"][0]).all() and (found["level"] < found["lost"][0]).all()
    assert found["regions_held"].max() == 0 and not found["level_radius"].any()


def test_the_number_lost_is_exact_for_every_count() -> None:
    for counted in (1, 3, 126, 262144, 2**24):
        lost = np.unique(np.linspace(0, counted, 50).astype(np.int64))
        shares = ((counted - lost) * 2**24 // counted) / 2.0**24
        assert (lost_pixels(shares.astype("float32"), counted) == lost).all()


def test_stops_hold_the_budgets_of_the_run_and_fit_into_levels() -> None:
    assert set(budget_stops([0.07, 7.0])) >= {0.0, 0.07, 7.0, 0.001, 100.0}
    assert budget_stops([0.1], (-1.0, 1.0))[1] == 0.002
    for count in (1, 40, 84, 300):
        budgets = [0.0123 * (step + 1) for step in range(count)]
        stops = budget_stops(budgets)
        assert stops == sorted(set(stops)) and len(stops) <= MOST_STOPS
        assert stops[-1] >= budgets[-1] and (count > 84 or set(budgets) <= set(stops))
