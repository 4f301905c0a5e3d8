"""A proved bound of what rounding adds to the logits of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import tree

from deel_seg._backend import product_precision
from deel_seg._checks import check_choice, check_pair, check_real, received
from deel_seg.lipschitz.arithmetic import PRODUCTS, arithmetic_of, conversion_error
from deel_seg.lipschitz.graph import carried, functional_graph, single_graph
from deel_seg.lipschitz.kernel_steps import kernel_steps
from deel_seg.lipschitz.rounding_rules import steps_of
from deel_seg.lipschitz.rounding_step import Sizes, after, converted
from deel_seg.lipschitz.sorted_pairs import SortedPairs, sorted_pairs


class UnknownRoundingBound(ValueError):
    """A layer in the graph has no known bound of its rounding; the message names it."""


class _Carried(NamedTuple):
    """A tensor of the graph at the size of the image, and its sizes."""

    tensor: keras.KerasTensor
    sizes: Sizes


def logit_error_bound(
    model: keras.Model,
    image_size: int | tuple[int, int],
    *,
    input_range: tuple[float, float] = (0.0, 1.0),
    products: str | None = None,
) -> float:
    r"""Proved bound of how far rounding moves any logit, for all images of a size and a range.

    Certificates are about the exact function of a network's weights, and are given logits that were
    computed. Each of these is within the bound of the exact one: a `logit_tolerance` that is
    proved. For a certificate of how an attacked image is classified *when that is computed too*,
    twice the bound.

    The exact function is that of the numbers that inference uses: kernels as they are composed (and
    in half precision rounded to the dtype they are used in), everything else as it is stored,
    factors as they are stated. It is the one whose constant `certified_lipschitz_constant` proves.

    Norms and errors in l2 over the whole image are carried through the graph. A kernel $K$ of norm
    $s$, with $n$ products to a sum, adds $\gamma_n \||K|\| \|x\|$ to an error, and multiplies what
    came in by $s$. All roundings are taken to be as large as they can and to agree, which they
    never do: expect a bound a million times what `estimate_logit_error` sees.

    What is assumed of the arithmetic: every operation is right up to its unit roundoff, or flushes
    to zero where it underflows; sums are those of the layer's definition, in any order, blocked,
    fused or not; bfloat16 products are summed in float32. Convolutions by Winograd's or Fourier's
    method are other sums, which this does not cover, and which cuDNN may choose.

    Args:
        model: Functional model, one input of images, one output. Condensed, if it is a
            `LipschitzModel`, as it is after `evaluate` and `predict`.
        image_size: Height and width.
        input_range: Least and largest value of the images, in the dtype of the model's input.
        products: What hardware brings the factors of float32 products to: `"float32"` (nothing
            else), `"tf32"` (Ampere and later, unless told otherwise) or `"bfloat16"` (TPUs). What
            this process is set to if None.

    Returns:
        The bound, in the units of the logits.

    Raises:
        UnknownRoundingBound: If a layer is none of those known, computes in float16, or may
            overflow; the message names it.
        ValueError: If the model is no functional graph with one input and one output, or its input
            of another size.

    Example:
    >>> import keras
    >>> from deel_seg.lipschitz import logit_error_bound
    >>> inputs = keras.Input((None, None, 3))
    >>> model = keras.Model(inputs, keras.layers.Conv2D(2, 1, kernel_initializer="ones")(inputs))
    >>> 0 < logit_error_bound(model, (8, 8), products="float32") < 1e-4
    True

    References:
        Higham, Accuracy and Stability of Numerical Algorithms, 2002: section 3.5 for products.
    """
    graph = single_graph(model)
    height, width = check_pair("image_size", image_size)
    low, high = (check_real("input_range", value) for value in input_range)
    precision = check_choice("products", products or product_precision(), PRODUCTS)
    given, (image,) = (height, width), graph.inputs
    shape = (1, *given, *tuple(image.shape)[3:])
    if len(image.shape) != 4 or any(
        size not in (None, wanted) for size, wanted in zip(image.shape[1:3], given, strict=True)
    ):
        raise ValueError(
            f"`image_size` must be one that the model takes, of shape {tuple(image.shape)}. "
            + received(image_size=image_size)
        )
    norm = max(abs(low), abs(high)) * math.sqrt(math.prod(shape)) * (1.0 + 2.0**-50)
    start = _Carried(keras.KerasTensor(shape, image.dtype), Sizes(norm, 0.0))
    (logits,) = _through(graph, [start], precision)
    return logits.sizes.error


def _through(graph: Any, start: Sequence[_Carried], products: str) -> list[_Carried]:
    found = {id(tensor): one for tensor, one in zip(graph.inputs, start, strict=True)}

    def step(node: Any, incoming: list[_Carried]) -> list[_Carried]:
        pairs = sorted_pairs(node)
        if pairs is not None and id(pairs.source) in found:
            outgoing = [_of_sorted(pairs, found[id(pairs.source)], incoming, products)]
        else:
            outgoing = _step(node, incoming, products)
        found.update(zip(map(id, node.outputs), outgoing, strict=True))
        return outgoing

    return carried(graph, start, step)


def _of_sorted(
    pairs: SortedPairs, source: _Carried, halves: list[_Carried], products: str
) -> _Carried:
    """Sorted pairs: comparing rounds nothing, and what is sorted has the norm that it had."""
    sizes, tensor = source.sizes, _joined(halves)
    if pairs.convolution is not None:
        sizes = _sizes(pairs.convolution, [source], [tensor], products)
    for shift, half in zip(pairs.shifts, halves, strict=True):
        if shift is not None:
            # Half of the tensor, of which all that is known is that it is no larger.
            sizes = _sizes(shift, [_Carried(half.tensor, sizes)], [half.tensor], products)
    return _Carried(tensor, sizes)


def _joined(halves: list[_Carried]) -> keras.KerasTensor:
    """The two halves of the channels, side by side."""
    tensor = halves[0].tensor
    channels = sum(half.tensor.shape[-1] for half in halves)
    return keras.KerasTensor((*tensor.shape[:-1], channels), tensor.dtype)


def _step(node: Any, incoming: list[_Carried], products: str) -> list[_Carried]:
    """What a layer makes of its inputs, where it is called."""
    layer = node.operation
    if node.arguments.kwargs.get("training"):
        raise UnknownRoundingBound(f"The layer {layer.name!r} is called with `training=True`.")
    graph = functional_graph(layer)
    if graph is not None:
        start = [
            _Carried(keras.KerasTensor(one.tensor.shape, inner.dtype), _cast(one, inner.dtype))
            for one, inner in zip(incoming, graph.inputs, strict=True)
        ]
        try:
            return _through(graph, start, products)
        except UnknownRoundingBound as error:
            raise UnknownRoundingBound(f"In the nested model {layer.name!r}: {error}") from error
    outputs = _outputs(node, incoming)
    sizes = _sizes(layer, incoming, outputs, products)
    return [_Carried(output, sizes) for output in outputs]


def _outputs(node: Any, incoming: list[_Carried]) -> list[keras.KerasTensor]:
    """The outputs of a layer at the size of the image."""
    known = {
        id(tensor): one.tensor for tensor, one in zip(node.input_tensors, incoming, strict=True)
    }
    arguments, options = node.arguments.fill_in(known)
    outputs: list[keras.KerasTensor] = tree.flatten(
        node.operation.compute_output_spec(*arguments, **options)
    )
    return outputs


def _sizes(
    layer: Any, incoming: list[_Carried], outputs: list[keras.KerasTensor], products: str
) -> Sizes:
    """Sizes of all outputs of a layer, together."""
    shapes = [tuple(tensor.shape) for tensor in (*(one.tensor for one in incoming), *outputs)]
    dtype = getattr(layer, "compute_dtype", outputs[0].dtype)
    arithmetic = arithmetic_of(dtype, products)
    steps = (kernel_steps(layer, shapes) or steps_of(layer, shapes)) if arithmetic else None
    if arithmetic is None or steps is None:
        raise UnknownRoundingBound(
            f"The layer {layer.name!r} of type {type(layer).__name__}, in {dtype}, has no known "
            "bound of its rounding as it is used here, so neither has the model."
        )
    found = [_cast(one, dtype) for one in incoming]
    numbers = sum(math.prod(shape[1:]) for shape in shapes)
    for step in steps:
        next_sizes = after(step, found, arithmetic, numbers)
        if next_sizes is None:
            raise UnknownRoundingBound(
                f"The numbers in the layer {layer.name!r} may overflow, or are not finite, or "
                "their rounding knows no bound."
            )
        found = [next_sizes]
    return found[0]


def _cast(one: _Carried, dtype: str) -> Sizes:
    return converted(one.sizes, conversion_error(one.tensor.dtype, dtype))
