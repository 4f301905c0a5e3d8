"""The certificates that `benchmarks/certificates.py` times: public functions, looked up by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.certificate_logits import Drawn

NUM_BUDGETS = 32

# Stand for what the drawn logits give.
BUDGET, BUDGETS, CLASS = object(), object(), object()


class Certificate(NamedTuple):
    """A function of `deel_seg.certificates` and how it is called."""

    title: str
    function: str
    arguments: dict[str, Any]
    with_labels: bool = True


_FNR, _IOU = {"positive_class": CLASS}, {"class_id": CLASS}
_ACCURACY, _STABILITY = "worst_case_pixel_accuracy", "worst_case_stability"
_CLASS_IOU, _CLASS_IOUS = "worst_case_class_iou", "worst_case_class_ious"

CERTIFICATES = {
    "crpa": Certificate("CRPA", _ACCURACY, {"eps": BUDGET}),
    "crpa_32": Certificate("CRPA, 32 budgets", _ACCURACY, {"eps": BUDGETS}),
    "crpa_radius": Certificate("accuracy radius", "pixel_accuracy_radius", {"threshold": 0.5}),
    "stability": Certificate("stability", _STABILITY, {"eps": BUDGET}, False),
    "stability_32": Certificate("stability, 32 budgets", _STABILITY, {"eps": BUDGETS}, False),
    "stability_radius": Certificate(
        "stability radius", "stability_radius", {"fraction": 0.5}, False
    ),
    "fnr": Certificate("FNR", "worst_case_fnr", {"eps": BUDGET, **_FNR}),
    "fnr_32": Certificate("FNR, 32 budgets", "worst_case_fnr", {"eps": BUDGETS, **_FNR}),
    "fnr_radius": Certificate("FNR radius", "fnr_radius", {"threshold": 0.5, **_FNR}),
    "class_iou": Certificate("class IoU", _CLASS_IOU, {"eps": BUDGET, **_IOU}),
    "class_iou_32": Certificate("class IoU, 32 budgets", _CLASS_IOU, {"eps": BUDGETS, **_IOU}),
    "class_iou_radius": Certificate(
        "class IoU radius", "class_iou_radius", {"threshold": 0.3, **_IOU}
    ),
    "all_class_iou": Certificate("IoU of all classes", _CLASS_IOUS, {"eps": BUDGET}),
    "all_class_iou_32": Certificate(
        "IoU of all classes, 32 budgets", _CLASS_IOUS, {"eps": BUDGETS}
    ),
    "mean_iou_update": Certificate(
        "update of CertifiedMeanIoU", "CertifiedMeanIoU", {"eps": BUDGET}
    ),
    "pixel_radius": Certificate("radius of each pixel", "pixel_radius", {}, False),
}

TITLES = {
    "floor/graph": "one pass, compiled",
    "floor/eager": "one pass, eager",
    "obvious/tensorflow": "obvious code, TensorFlow",
    "obvious/tensorflow_xla": "obvious code, TensorFlow, XLA",
    "obvious/pytorch": "obvious code, PyTorch",
    "obvious/numpy": "obvious code, NumPy",
    "obvious/jax": "obvious code, JAX",
    **{f"{name}/graph": item.title for name, item in CERTIFICATES.items()},
    **{f"{name}/eager": f"{item.title}, eager call" for name, item in CERTIFICATES.items()},
}


def is_there(name: str) -> bool:
    """Whether the library has the certificate."""
    from deel_seg import certificates

    return hasattr(certificates, CERTIFICATES[name].function)


def bound_certificate(name: str, drawn: Drawn) -> Callable[[Any, Any], Any]:
    """A certificate with its arguments, as a function of logits and labels."""
    from deel_seg import certificates

    certificate = CERTIFICATES[name]
    function = getattr(certificates, certificate.function)
    given = {
        BUDGET: drawn.budget,
        BUDGETS: [float(factor * drawn.budget) for factor in np.linspace(0.05, 1.6, NUM_BUDGETS)],
        CLASS: drawn.class_id,
    }
    arguments = {
        key: given[value] if value in given else value
        for key, value in certificate.arguments.items()
    }
    classes = drawn.logits.shape[-1]
    if name == "mean_iou_update":
        metric = function(num_classes=classes, lipschitz_constant=1.0, **arguments)
        return lambda logits, labels: _updated(metric, logits, labels)
    if certificate.with_labels:
        return lambda logits, labels: function(logits, labels, **arguments)
    return lambda logits, labels: function(logits, **arguments)


def _updated(metric: Any, logits: Any, labels: Any) -> Any:
    """The state of a metric after a batch: as a value, for JAX to compile it."""
    state = [variable.value for variable in metric.variables]
    return metric.stateless_update_state(state, labels, logits)
