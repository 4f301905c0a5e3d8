"""DeepLabV3, Lipschitz and unconstrained."""

from __future__ import annotations

from typing import Any

import keras

from deel_seg.models.blocks import Blocks
from deel_seg.models.configs import DEEPLAB_V3_CONFIGS, DeepLabV3Config
from deel_seg.models.encoder import encode
from deel_seg.models.segmentation_model import (
    Architecture,
    LipschitzSegmentation,
    PlainSegmentation,
)

Tensor = Any


def _pyramid(x: Tensor, config: DeepLabV3Config, blocks: Blocks) -> Tensor:
    """Atrous spatial pyramid: parallel branches without activation, merged by a 1x1 block."""
    width = config.widths[-1]
    branches = [blocks.convolve(x, width, kernel_size=1, name="aspp_1x1")]
    for rate in config.aspp_rates:
        branches.append(blocks.convolve(x, width, dilation=rate, name=f"aspp_rate{rate}"))
    if config.image_level:
        pooled = blocks.image_level(x, "aspp_image_pooling")
        branches.append(blocks.convolve(pooled, width, kernel_size=1, name="aspp_image"))
    merged = blocks.concatenate(branches, "aspp_concatenate")
    return blocks.block(merged, width, "aspp_merge", kernel_size=1)


def _features(x: Tensor, config: DeepLabV3Config, blocks: Blocks) -> Tensor:
    x = _pyramid(encode(x, config, blocks)[-1], config, blocks)
    for index in range(config.decoder_convolutions):
        x = blocks.block(x, config.widths[-1], f"decoder_{index + 1}")
    for index, width in enumerate(config.up_sampling_widths):
        x = blocks.up_sample(x, width, f"decoder_up{index + 1}")
    return x


_ARCHITECTURE = Architecture(DEEPLAB_V3_CONFIGS, DeepLabV3Config, _features)


@keras.saving.register_keras_serializable("deel_seg")
class LipDeepLabV3(LipschitzSegmentation):
    """DeepLabV3 of orthogonal layers, with a proved Lipschitz constant.

    Encoder stages of 3x3 orthogonal convolutions (the first of each with stride 2), an atrous
    spatial pyramid, and one 2x2 transposed orthogonal convolution for each stage; every block is
    convolution, sorting activation, centering. The configs S, M1, M2, L and XL are the paper's; R
    has residual blocks.

    Args:
        config: `"S"`, `"M1"`, `"M2"`, `"L"`, `"XL"`, `"R"`, a `DeepLabV3Config`, or a mapping of
            its values.
        num_classes: Logits a pixel; 1 for a binary model with one signed logit.
        input_shape: `(height, width, channels)`; height and width may be None.
        lipschitz_constant: The network's constant, exactly.
        **kwargs: The keyword arguments of `LipschitzSegmentation`: `rms_scaling`,
            `keep_rms_gain`, `activation`, `padding`, `input_mean`, `input_std`, `name`, `dtype`.

    Input shape:
        `(batch, height, width, channels)`, both sizes multiples of 2 to the number of stages.

    Output shape:
        `(batch, height, width, num_classes)`, logits.

    Raises:
        ValueError: If an argument is out of range, or an image's size no multiple of the strides.

    Example:

    >>> import numpy as np, deel_seg
    >>> model = deel_seg.LipDeepLabV3("S", num_classes=4)
    >>> model.lipschitz_constant
    1.0
    >>> tuple(model(np.zeros((1, 16, 24, 3), "float32")).shape)
    (1, 16, 24, 4)

    References:
        Massena et al., Fast and Flexible Robustness Certificates for Semantic Segmentation:
        section 5.1, appendices C, D and F.
        Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017.
    """

    architecture = _ARCHITECTURE


@keras.saving.register_keras_serializable("deel_seg")
class DeepLabV3(PlainSegmentation):
    """The unconstrained twin of `LipDeepLabV3`: Conv2D, BatchNormalization, ReLU.

    Args:
        config: As for `LipDeepLabV3`.
        num_classes: Logits a pixel.
        input_shape: `(height, width, channels)`; height and width may be None.
        **kwargs: The keyword arguments of `PlainSegmentation`: `input_mean`, `input_std`, `name`,
            `dtype`.

    Example:

    >>> import deel_seg
    >>> deel_seg.DeepLabV3("S", num_classes=4).output_shape
    (None, None, None, 4)

    References:
        Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017.
    """

    architecture = _ARCHITECTURE
