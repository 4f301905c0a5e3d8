"""docs/speed.md says what the files say, and the benchmark measures what it says."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from benchmarks import certificate_memory, obvious_code, report_certificates, speed_targets
from benchmarks.certificate_candidates import Candidate, extra_bytes
from benchmarks.certificate_list import CERTIFICATES, TITLES, bound_certificate
from benchmarks.certificate_logits import AGREEMENT, Drawn, draw
from benchmarks.speed_targets import MAIN
from benchmarks.turns import take_turns


def timed(seconds: float) -> dict[str, Any]:
    return {"median": seconds, "lower": 0.9 * seconds, "upper": 1.1 * seconds, "floor": 0.004}


def processor() -> dict[str, Any]:
    """A file in which every target is just met."""
    case = {"floor/graph": timed(0.004), "floor/eager": timed(0.005)}
    case |= {"obvious/tensorflow": timed(0.24), "obvious/pytorch": timed(0.06)}
    for name in CERTIFICATES:
        passes = 40 if "all" in name else 8 if "iou" in name else 3
        case[f"{name}/graph"] = timed(0.004 * passes * (4 if "_32" in name else 1))
    larger = {name: timed(1.3 * 8 * row["median"]) for name, row in case.items()}
    larger["floor/graph"] = timed(8 * 0.004)
    return {
        "machine": {"device": "a processor", "cores": 2, "versions": {"numpy": "2"}},
        "cases": {MAIN: case, MAIN.replace("batch 1", "batch 8"): larger},
        "memory": {"1024x1024x19 smooth": {"crpa/graph": {"logits": 1000, "extra": 1500}}},
    }


def accelerator() -> dict[str, Any]:
    case = {name: timed(0.0009) for name in ("floor/graph", "crpa/graph", "class_iou/graph")}
    for row in case.values():
        row["queued"] = {**timed(0.0005), "floor": 0.0001}
    machine = {"device": "a GPU", "versions": {"jax": "1"}, "copy_bytes_per_second": 1e12}
    return {"machine": machine, "cases": {MAIN: case}, "memory": {}}


def in_training() -> dict[str, Any]:
    return {
        "size": 128, "batch_size": 8, "pairs": 60, "metrics": ["CRPA"],
        "ratio": timed(1.02), "step": timed(2.0), "update": timed(0.01),
    }  # fmt: skip


def all_results() -> dict[str, Any]:
    return {
        "certificates_jax": accelerator(),
        "certificates_tensorflow": processor(),
        "fit_overhead": in_training(),
    }


def test_the_page_is_made_of_the_files() -> None:
    text = report_certificates.page(report_certificates.read_results())
    assert report_certificates.PAGE.read_text(encoding="utf-8") == text


def test_a_changed_figure_is_seen() -> None:
    results = all_results()
    changed = copy.deepcopy(results)
    changed["certificates_tensorflow"]["cases"][MAIN]["crpa/graph"]["median"] *= 1.1
    assert report_certificates.page(results) != report_certificates.page(changed)


def test_a_page_without_files_says_so() -> None:
    text = report_certificates.page({})
    assert "Nothing is measured yet" in text and "**no**" not in text and "yes" not in text


def test_targets_that_are_just_met_hold() -> None:
    assert [target.holds for target in speed_targets.targets(all_results())] == [True] * 11


@pytest.mark.parametrize(
    ("name", "missed"),
    [
        ("crpa", "accuracy, stability and FNR, passes"),
        ("fnr_radius", "the same, times faster than TensorFlow"),
        ("stability", "the same, times faster than PyTorch"),
        ("crpa_32", "32 budgets over one"),
        ("class_iou_radius", "class IoU, passes"),
        ("all_class_iou", "IoU of all 19 classes, passes"),
    ],
)
def test_a_target_that_is_missed_does_not_hold(name: str, missed: str) -> None:
    results = all_results()
    results["certificates_tensorflow"]["cases"][MAIN][f"{name}/graph"]["median"] *= 1.01
    targets = {target.what: target for target in speed_targets.targets(results)}
    assert targets[missed].holds is False and name in targets[missed].measured
    assert "**no**" in report_certificates.page(results)


def test_missed_growth_memory_training_and_accelerator_do_not_hold() -> None:
    results = all_results()
    rows = results["certificates_tensorflow"]
    rows["cases"][MAIN.replace("batch 1", "batch 8")]["crpa/graph"]["median"] *= 1.01
    rows["memory"]["1024x1024x19 smooth"]["crpa/graph"]["extra"] += 1
    results["fit_overhead"]["ratio"]["median"] = 1.031
    for row in results["certificates_jax"]["cases"][MAIN].values():
        row["median"] = 0.0081
    assert [target.holds for target in speed_targets.targets(results)][6:] == [False] * 5


def test_the_faster_variant_of_tensorflow_is_the_one_to_beat() -> None:
    results = all_results()
    case = results["certificates_tensorflow"]["cases"][MAIN]
    case["obvious/tensorflow_xla"] = timed(0.12)
    assert speed_targets.targets(results)[1].measured.startswith("10.00")


@pytest.mark.parametrize("kind", ["smooth", "iid"])
def test_drawn_logits_are_seeded_and_agree_with_most_labels(kind: str) -> None:
    first, again, other = (draw((96, 80), 5, 2, kind=kind, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.logits, again.logits)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.logits, other.logits)
    agreement = np.mean(np.argmax(first.logits, axis=-1) == first.labels)
    assert abs(agreement - AGREEMENT) < 0.005
    assert first.labels.min() >= 0 and first.labels.max() < 5
    neighbours = np.mean(first.labels[:, 1:] == first.labels[:, :-1])
    assert (neighbours > 0.8) == (kind == "smooth")


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw((40, 48), 4, 2)


@pytest.mark.parametrize(
    ("framework", "function", "convert"),
    [
        ("numpy", obvious_code.with_numpy, "asarray"),
        ("tensorflow", obvious_code.with_tensorflow, "constant"),
        ("torch", obvious_code.with_pytorch, "from_numpy"),
        ("jax.numpy", obvious_code.with_jax, "asarray"),
    ],
)
def test_the_obvious_code_answers_the_same_question(
    framework: str, function: Any, convert: str, drawn: Drawn
) -> None:
    tensor = getattr(pytest.importorskip(framework), convert)
    budget = drawn.budget
    found = np.asarray(function(tensor(drawn.logits), tensor(drawn.labels), budget**2))
    certified = bound_certificate("crpa", drawn)(drawn.logits, drawn.labels)
    # It is timed, not trusted: a few pixels of 1920 may fall to the other side.
    assert np.max(np.abs(found - np.asarray(certified))) <= 3 / 1920
    assert np.all(found < AGREEMENT)


@pytest.mark.slow
@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_certificate_can_be_called(name: str, drawn: Drawn) -> None:
    result = bound_certificate(name, drawn)(drawn.logits, drawn.labels)
    parts = result if isinstance(result, (list, tuple)) else [result]
    values = np.concatenate([np.ravel(np.asarray(part)) for part in parts])
    assert values.size > 0 and np.all(np.isfinite(values))
    assert {f"{name}/graph", f"{name}/eager"} <= set(TITLES)


def test_all_candidates_take_turns_and_slow_ones_fewer() -> None:
    calls = []

    def candidate(name: str, seconds: float) -> Candidate:
        def call() -> None:
            calls.append(name)
            time.sleep(seconds)

        return Candidate(call)

    both = {"floor/graph": candidate("floor", 0.0005), "slow": candidate("slow", 0.01)}
    rows = take_turns(both, 8, 0.06, 0, lambda text: None)
    assert rows["floor/graph"]["turns"] == 8 and rows["slow"]["turns"] == 3
    assert 0.01 <= rows["slow"]["lower"] <= rows["slow"]["median"] <= rows["slow"]["upper"]
    # Two calls to begin with, and two a turn.
    assert calls.count("floor") == 18 and calls.count("slow") == 8
    last = len(calls) - 1 - calls[::-1].index("slow")
    assert last > len(calls) / 2


def test_what_copies_the_logits_needs_more_memory() -> None:
    sizes = {name: extra_bytes(name, 10**9, 10**6) for name in TITLES}
    assert sizes["obvious/tensorflow_xla"] > sizes["obvious/numpy"] > sizes["crpa/graph"] > 0


def test_peak_memory_counts_what_is_needed_besides() -> None:
    # In a process of its own, as where it is measured: this one frees what other tests left.
    command = [sys.executable, "-c", NEEDED]
    environment = {**os.environ, **certificate_memory._GIVE_BACK}
    folder = certificate_memory.ROOT
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    grown, peak = map(int, done.stdout.split())
    assert grown > 0.9 * 2**25
    assert 0.95 * 2**27 < peak < 1.1 * 2**27


NEEDED = """
import numpy as np
from benchmarks import certificate_memory
from benchmarks.machine import process_bytes

before = process_bytes("VmRSS")
kept = np.ones(2**22)  # 32 MiB
grown = process_bytes("VmRSS") - before

def call():
    first, second = np.ones(2**23), np.ones(2**23)  # 64 MiB each
    return float(first[-1] + second[-1])

print(grown, certificate_memory.peak_on_host(call))
"""
