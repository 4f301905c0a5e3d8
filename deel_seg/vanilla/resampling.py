"""Poolings and permutations of pixels, out of Keras' own layers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from keras import layers, ops

from deel_seg.layers import (
    DepthToSpace,
    ImageLevelPooling,
    ScaledAveragePooling2D,
    ScaledL2NormPooling2D,
    SpaceToDepth,
)
from deel_seg.vanilla.network import PlainNetwork
from deel_seg.vanilla.pending import Pending


def average_pooling(
    network: PlainNetwork, layer: ScaledAveragePooling2D, value: Pending
) -> Pending:
    """`AveragePooling2D` times the root of the number of pixels."""
    value = network.placed(value)
    pooling = layers.AveragePooling2D(layer.pool_size, layer.pool_size, **network.options(layer))
    factor = layer.output_factor(layer.compute_dtype, math.sqrt(math.prod(layer.pool_size)))
    return replace(value, tensor=pooling(value.tensor)).scaled(factor)


def l2_norm_pooling(network: PlainNetwork, layer: ScaledL2NormPooling2D, value: Pending) -> Pending:
    """Root of the pooled squares; for the root there is a function of Keras only, and no layer."""
    inputs = network.tensor(value)
    squares = layers.Multiply(**network.options(layer, "_squares"))([inputs, inputs])
    pooling = layers.AveragePooling2D(layer.pool_size, layer.pool_size, **network.options(layer))
    means = ops.maximum(pooling(squares), 1e-12 / math.prod(layer.pool_size))
    factor = layer.output_factor(layer.compute_dtype, math.sqrt(math.prod(layer.pool_size)))
    return Pending(ops.sqrt(means), layer, factor)


def image_level_pooling(network: PlainNetwork, layer: ImageLevelPooling, value: Pending) -> Pending:
    """The mean over the image, added to zeros of its size."""
    value = network.placed(value)
    means = layers.GlobalAveragePooling2D(keepdims=True, **network.options(layer, "_mean"))
    zeros = layers.Rescaling(0.0, **network.options(layer, "_zeros"))
    added = layers.Add(**network.options(layer))
    everywhere = added([zeros(value.tensor), means(value.tensor)])
    return replace(value, tensor=everywhere).scaled(layer.output_factor(layer.compute_dtype))


def block_permutation(
    network: PlainNetwork, layer: SpaceToDepth | DepthToSpace, value: Pending
) -> Pending:
    """A convolution over disjoint blocks, or its adjoint, with a kernel that moves pixels."""
    inputs, block = network.tensor(value), layer.block_size
    to_depth = isinstance(layer, SpaceToDepth)
    channels = value.channels if to_depth else value.channels // block**2
    # Pixel (row, column) of a block and channel c: number (row * block + column) * channels + c.
    kernel = np.eye(block**2 * channels).reshape(block, block, channels, block**2 * channels)
    moved = network.fixed_convolution(
        inputs,
        kernel,
        layer,
        kind=layers.Conv2D if to_depth else layers.Conv2DTranspose,
        strides=block,
        padding="valid",
    )
    return Pending(moved, layer, layer.output_factor(layer.compute_dtype))
