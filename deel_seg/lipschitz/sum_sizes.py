"""Whether the inputs of a sum have one shape for every size of the image.

A branch of one pixel is repeated by whatever it is added to, and a repeated value counts more than
once. Where sizes are unknown their symbols are alike, so they are looked at with numbers in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import keras
from keras import layers, tree

from deel_seg.layers import ScaledConcatenate
from deel_seg.lipschitz.graph import carried

Shape = tuple[int | None, ...]

_LARGEST = 256  # Sizes up to which branches are looked at, until none has a single pixel.
# Of sides beside one that is looked at: strides of up to 16 divide it, and products of theirs.
_LARGE = 16 * 720_720
_BATCH = 2
_JOINING = (layers.Concatenate, ScaledConcatenate)  # Sizes that differ are an error there.

_known: WeakKeyDictionary[Any, frozenset[int]] = WeakKeyDictionary()


def may_broadcast(graph: Any) -> frozenset[int]:
    """The nodes, by `id`, whose inputs are not known to have one shape for every size.

    Sizes of a convolution, a pooling or an enlargement grow with that of the image. So once no
    branch of a sum has a side of one pixel none has for larger images, and where they differ there
    the sum is an error and no repetition.

    Args:
        graph: As of `functional_graph`.
    """
    if graph not in _known:
        _known[graph] = frozenset(map(id, _looked_at(graph)))
    return _known[graph]


def _looked_at(graph: Any) -> list[Any]:
    nodes = [node for level in graph._nodes_by_depth.values() for node in level]
    doubtful = [node for node in nodes if _has_unknown_sizes(node)]
    if not doubtful:
        return []
    broadcasting: dict[int, Any] = {}
    for size in range(1, _LARGEST + 1):
        beyond = []  # Whether no branch has a side of one pixel.
        for starts in _starts(graph, size):
            shapes = _shapes(graph, starts)
            if shapes is None:
                beyond.append(False)
                continue
            for node in doubtful:
                if _differ_by_ones([shapes[id(tensor)] for tensor in node.input_tensors]):
                    broadcasting[id(node)] = node
            beyond.append(all(_is_beyond(node, shapes) for node in doubtful))
        if all(beyond):
            return list(broadcasting.values())
    return doubtful


def _is_beyond(node: Any, shapes: Mapping[int, Sequence[int]]) -> bool:
    """Whether all sides of a node's inputs that follow from the image have more than one pixel."""
    return all(
        side > 1
        for tensor in node.input_tensors
        for side, symbol in zip(shapes[id(tensor)], tensor.shape, strict=True)
        if symbol is None
    )


def _has_unknown_sizes(node: Any) -> bool:
    operation = node.operation
    joins = isinstance(operation, _JOINING) or type(operation).__name__ == "Concatenate"
    unknown = any(None in tensor.shape[1:] for tensor in node.input_tensors)
    return len(node.input_tensors) > 1 and unknown and not joins


def _starts(graph: Any, size: int) -> Iterator[list[Shape]]:
    """Shapes of all inputs with numbers in them: `size` for all that is unknown, or for one."""
    unknown = sum(tensor.shape[1:].count(None) for tensor in graph.inputs)
    for chosen in (None, *range(unknown)):
        numbers = itertools.count()
        yield [
            (
                _BATCH,
                *(
                    side or (size if chosen in (None, next(numbers)) else _LARGE)
                    for side in tensor.shape[1:]
                ),
            )
            for tensor in graph.inputs
        ]


def _shapes(graph: Any, starts: Sequence[Shape]) -> dict[int, tuple[int, ...]] | None:
    """The shape of every tensor of a graph, by `id`; None where it takes no images of this size."""
    tensors = [
        keras.KerasTensor(shape, tensor.dtype)
        for shape, tensor in zip(starts, graph.inputs, strict=True)
    ]
    found = {id(one): tuple(new.shape) for one, new in zip(graph.inputs, tensors, strict=True)}

    def step(node: Any, incoming: list[Any]) -> list[Any]:
        known = {id(one): new for one, new in zip(node.input_tensors, incoming, strict=True)}
        arguments, options = node.arguments.fill_in(known)
        outputs = tree.flatten(node.operation.compute_output_spec(*arguments, **options))
        for tensor, new in zip(node.outputs, outputs, strict=True):
            if any(side is None or side < 1 for side in new.shape):
                raise ValueError("no pixel is left")
            found[id(tensor)] = tuple(new.shape)
        return outputs

    try:
        carried(graph, tensors, step)
    except (ValueError, TypeError, ArithmeticError):
        return None
    return found


def _differ_by_ones(shapes: Sequence[Sequence[int]]) -> bool:
    """Whether some of these shapes are repeated to fit the others."""
    if len({len(shape) for shape in shapes}) > 1:
        return True
    return any(1 in sides and len(set(sides)) > 1 for sides in zip(*shapes, strict=True))
