"""Orthogonal convolutions as plain ones, with what is pending of their input in kernel and bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops

from deel_seg._checks import received
from deel_seg.layers import OrthogonalConv2D
from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution
from deel_seg.vanilla.network import PlainNetwork
from deel_seg.vanilla.pending import Pending, PlainConvolution


def convolution(network: PlainNetwork, layer: OrthogonalConvolution, value: Pending) -> Pending:
    """The plain form of an orthogonal convolution, still open for what follows it.

    The order and the factor of the input's channels go into the kernel. So does an offset, into the
    bias, but where there is a border of zeros: these stay zero when it is added.
    """
    transposed = not isinstance(layer, OrthogonalConv2D)
    groups = 1 if transposed else layer.groups
    if groups > 1:
        value = network.in_order(value)
    if transposed or not _has_no_border(layer):
        value = network.without_offset(value)
    kernel = ops.convert_to_numpy(layer.effective_kernel()).astype("float64")
    if value.order is not None:
        # Channel i of the input lies at order[i].
        kernel = np.take(kernel, np.argsort(value.order), axis=3 if transposed else 2)
    bias = None
    if layer.bias is not None:
        bias = ops.convert_to_numpy(layer.bias).astype("float64")
    offset = value.physical_offset()
    if offset is not None:
        added = _of_constant(kernel, offset, groups)
        bias = added if bias is None else bias + added
    factor = layer.output_factor(layer.compute_dtype)
    return Pending(
        PlainConvolution(
            network.tensor(Pending(value.tensor, value.origin)),
            layers.Conv2DTranspose if transposed else layers.Conv2D,
            factor * value.scale * kernel,
            None if bias is None else factor * bias,
            _options(network, layer),
        ),
        layer,
    )


def _has_no_border(layer: OrthogonalConv2D) -> bool:
    return layer.padding == "valid" or layer.kernel_size == (1, 1)


def _of_constant(kernel: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """What comes of an image with these values at every pixel."""
    of_group = np.split(kernel.sum(axis=(0, 1)), groups, axis=-1)
    parts = zip(np.split(values, groups), of_group, strict=True)
    return np.concatenate([inputs @ matrix for inputs, matrix in parts])


def _options(network: PlainNetwork, layer: OrthogonalConvolution) -> dict[str, Any]:
    if layer.padding == "circular":
        raise ValueError(
            f"Layer {layer.name!r} has no form among Keras' own layers. "
            + received(padding="circular")
        )
    options = {**network.options(layer), "strides": layer.strides, "padding": layer.padding}
    if isinstance(layer, OrthogonalConv2D):
        options.update(dilation_rate=layer.dilation_rate, groups=layer.groups)
    return options
