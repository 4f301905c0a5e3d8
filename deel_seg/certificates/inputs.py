"""Eager checks of what users pass, and conversion to tensors that lose nothing unsafely."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype, is_concrete
from deel_seg._checks import check_integer, received
from deel_seg.certificates.pixels import label_count
from deel_seg.certificates.rounding import TINY, count_dtype

Tensor = Any

_FLOATS = ("float16", "bfloat16", "float32", "float64")
MAX_PIXELS = 2**27
_LARGEST_ID = 2**31 - 1  # No class: every certificate takes far fewer.


class CertificateInputs(NamedTuple):
    """Checked arguments: `tensors` may change from call to call, `static` compiles anew."""

    tensors: tuple[Tensor, Tensor | None, Tensor | None, Tensor, Tensor]
    static: dict[str, Any]
    given_labels: Any
    labels_name_classes: bool

    def certify(self, function: Callable, *more: Tensor, **static: Any) -> Tensor:
        """Calls a compiled certificate, which tells `(result, valid images)`.

        Outside a graph an image that is not valid is an error. The compiled pass looks at every
        logit anyway, so nothing is looked at twice unless something is wrong.
        """
        result, valid = function(*self.tensors, *more, **self.static, **static)
        if is_concrete(valid) and not bool(ops.all(valid)):
            self._explain()
        return result

    def _explain(self) -> None:
        logits, labels, mask = self.tensors[:3]
        finite = ops.convert_to_numpy(ops.isfinite(logits))
        if not finite.all():
            raise ValueError(
                "`logits` must be finite: nothing can be certified where one is NaN or infinite. "
                f"{received(non_finite=int((~finite).sum()))}"
            )
        if labels is not None and self.labels_name_classes:
            given = np.asarray(self.given_labels).reshape(tuple(labels.shape))
            _check_label_values(
                given, mask, self.static["ignore_class"], self.static["num_classes"]
            )


def check_inputs(
    logits: Any,
    labels: Any,
    mask: Any,
    *,
    lipschitz_constant: Any,
    p: Any,
    ignore_class: Any,
    logit_tolerance: Any,
    labels_name_classes: bool = True,
) -> CertificateInputs:
    """Checks the arguments every certificate takes.

    Without `labels_name_classes` labels only tell which pixels to ignore, and may hold any id.

    Returns:
        Tensors `(logits, labels, mask, lipschitz_constant, logit_tolerance)` and the static
        arguments `p`, `ignore_class`, `num_classes`.
    """
    if ignore_class is not None:
        ignore_class = check_integer("ignore_class", ignore_class)
    tolerance = check_scalar("logit_tolerance", logit_tolerance)
    constant = check_scalar("lipschitz_constant", lipschitz_constant, positive=True)
    logits, conversion_error = _check_logits(logits)
    mask = _check_mask(mask, logits)
    given = labels
    if labels is not None:
        labels = _check_labels(labels, logits)
    static = {"p": _check_norm(p), "ignore_class": ignore_class, "num_classes": logits.shape[-1]}
    tensors = (logits, labels, mask, constant, tolerance + conversion_error)
    return CertificateInputs(tensors, static, given, labels_name_classes)


def check_scalar(name: str, value: Any, *, positive: bool = False) -> Tensor:
    """Returns one finite number `>= 0` (or `> 0`) as a tensor of the accumulation dtype."""
    return _check_numbers(name, value, max_rank=0, positive=positive)


def check_eps(eps: Any) -> tuple[Tensor, bool]:
    """Returns budgets `>= 0` as a 1-D tensor, and whether they came as a sequence."""
    budgets = _check_numbers("eps", eps, max_rank=1, positive=False)
    is_sequence = len(budgets.shape) == 1
    return (budgets if is_sequence else ops.reshape(budgets, (1,))), is_sequence


def _check_numbers(name: str, value: Any, *, max_rank: int, positive: bool) -> Tensor:
    wide = accumulation_dtype()
    if isinstance(value, keras.Variable):
        value = ops.convert_to_tensor(value)
    shape = "a number" if max_rank == 0 else "a number or a 1-D sequence of numbers"
    if ops.is_tensor(value) and not is_concrete(value):
        if len(value.shape) > max_rank:
            raise ValueError(f"`{name}` must be {shape}. {received(**{name: value})}")
        return ops.cast(value, wide)  # Wrong values become NaN results in the graph.
    try:
        if np.asarray(value).dtype.kind in "USO":  # NumPy reads texts as numbers.
            raise TypeError
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be {shape}. {received(**{name: value})}") from None
    if isinstance(value, bool) or numbers.ndim > max_rank or numbers.size == 0:
        raise ValueError(f"`{name}` must be {shape}. {received(**{name: value})}")
    in_range = numbers > 0 if positive else numbers >= 0
    if not np.all(np.isfinite(numbers) & in_range):
        bound = "> 0" if positive else ">= 0"
        raise ValueError(f"`{name}` must be finite and {bound}. {received(**{name: value})}")
    if positive:
        numbers = np.maximum(numbers, TINY)  # A smaller one could be flushed to zero.
    with np.errstate(over="ignore", under="ignore"):
        return ops.convert_to_tensor(numbers.astype(wide), dtype=wide)


def _check_norm(p: Any) -> float:
    if isinstance(p, bool) or not isinstance(p, (int, float)) or p not in (1, 2, math.inf):
        raise ValueError(f"`p` must be 1, 2 or inf. {received(p=p)}")
    return math.inf if p == math.inf else int(p)


def _check_logits(logits: Any) -> tuple[Tensor, float]:
    """Returns logits as a tensor, and how far the conversion moved any of them.

    Where a backend has no float64, float64 arrays are rounded to float32, and the distance is
    handled as a tolerance on the logits.
    """
    given = logits if ops.is_tensor(logits) else np.asarray(logits)
    tensor = ops.convert_to_tensor(given)
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if dtype not in _FLOATS:
        raise ValueError(f"`logits` must be floating point. {received(dtype=dtype)}")
    if len(tensor.shape) != 4 or tensor.shape[-1] is None or 0 in tuple(tensor.shape):
        raise ValueError(
            "`logits` must have shape (batch, height, width, classes), none of them 0 and the "
            f"last one known. {received(shape=tuple(tensor.shape))}"
        )
    pixels = math.prod(size or 0 for size in tensor.shape[1:3])
    if pixels >= MAX_PIXELS:
        raise ValueError(
            f"`logits` must have fewer than {MAX_PIXELS} pixels an image, for pixels are counted "
            f"exactly. {received(shape=tuple(tensor.shape))}"
        )
    if isinstance(given, np.ndarray) and given.dtype == np.float64 and dtype == "float32":
        moved = np.abs(ops.convert_to_numpy(tensor).astype(np.float64) - given)
        return tensor, float(moved.max())
    return tensor, 0.0


def _check_mask(mask: Any, logits: Tensor) -> Tensor | None:
    if mask is None:
        return None
    mask = ops.convert_to_tensor(mask)
    dtype = keras.backend.standardize_dtype(mask.dtype)
    if dtype != "bool":
        raise ValueError(f"`mask` must be boolean. {received(dtype=dtype)}")
    check_same_pixels("mask", mask, logits)
    return mask


def check_labels_given(labels: Any) -> None:
    """Raises where a certificate that compares with labels got none."""
    if labels is None:
        raise ValueError(f"`labels` must be given. {received(labels=labels)}")


def _check_labels(labels: Any, logits: Tensor) -> Tensor:
    given = labels if ops.is_tensor(labels) else np.asarray(labels)
    dtype = keras.backend.standardize_dtype(given.dtype)
    if "int" not in dtype:
        raise ValueError(f"`labels` must be integers. {received(dtype=dtype)}")
    check_same_pixels("labels", given, logits)
    # Only the wide integers can hold ids that int32 would wrap around to valid ones.
    if dtype not in ("int64", "uint32", "uint64"):
        return ops.cast(given, "int32")
    if count_dtype() == "int64":
        return ops.cast(given, "int64")
    if isinstance(given, np.ndarray):
        smallest = -_LARGEST_ID if np.issubdtype(given.dtype, np.signedinteger) else 0
        given = given.clip(smallest, _LARGEST_ID)
    return ops.cast(given, "int32")


def _check_label_values(
    labels: np.ndarray, mask: Tensor | None, ignore_class: int | None, num_classes: int
) -> None:
    wrong = (labels < 0) | (labels >= label_count(num_classes))
    if ignore_class is not None:
        wrong &= labels != ignore_class
    if mask is not None:
        wrong &= ops.convert_to_numpy(mask)
    if wrong.any():
        raise ValueError(
            f"`labels` must lie in [0, {label_count(num_classes)}), or equal `ignore_class`. "
            f"{received(label=int(labels[wrong][0]), ignore_class=ignore_class)}"
        )


def check_same_pixels(name: str, value: Any, logits: Tensor) -> None:
    """Raises where the shape of `value` is not that of the pixels of `logits`, as far as known."""
    expected, shape = tuple(logits.shape[:-1]), tuple(value.shape)
    known = len(shape) == 3 and all(
        a is None or b is None or a == b for a, b in zip(shape, expected, strict=True)
    )
    if not known:
        raise ValueError(f"`{name}` must have shape {expected}. {received(shape=shape)}")
