"""Fully convolutional network, Lipschitz and unconstrained."""

from __future__ import annotations

from typing import Any

import keras

from deel_seg.models.blocks import Blocks
from deel_seg.models.configs import EncoderConfig
from deel_seg.models.encoder import encode
from deel_seg.models.segmentation_model import (
    Architecture,
    LipschitzSegmentation,
    PlainSegmentation,
)
from deel_seg.models.unet import ENCODER_CONFIGS

Tensor = Any


def _features(x: Tensor, config: EncoderConfig, blocks: Blocks) -> Tensor:
    x = encode(x, config, blocks)[-1]
    for index, width in enumerate(reversed((config.widths[0] // 2, *config.widths[:-1]))):
        x = blocks.up_sample(x, max(width, 2), f"decoder_up{index + 1}")
    return x


_ARCHITECTURE = Architecture(ENCODER_CONFIGS, EncoderConfig, _features)


@keras.saving.register_keras_serializable("deel_seg")
class LipFCN(LipschitzSegmentation):
    """Encoder and learned up-sampling of orthogonal layers, with a proved Lipschitz constant.

    Args:
        config: A name as for `LipDeepLabV3`, an `EncoderConfig`, or a mapping of its values.
        num_classes: Logits a pixel; 1 for a binary model with one signed logit.
        input_shape: `(height, width, channels)`; height and width may be None.
        lipschitz_constant: The network's constant, exactly.
        **kwargs: The keyword arguments of `LipschitzSegmentation`.

    Example:

    >>> import deel_seg
    >>> deel_seg.LipFCN("S", num_classes=4).lipschitz_constant
    1.0

    References:
        Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015.
    """

    architecture = _ARCHITECTURE


@keras.saving.register_keras_serializable("deel_seg")
class FCN(PlainSegmentation):
    """The unconstrained twin of `LipFCN`.

    Args:
        config: As for `LipFCN`.
        num_classes: Logits a pixel.
        input_shape: `(height, width, channels)`; height and width may be None.
        **kwargs: The keyword arguments of `PlainSegmentation`.

    Example:

    >>> import deel_seg
    >>> deel_seg.FCN("S", num_classes=4).output_shape
    (None, None, None, 4)
    """

    architecture = _ARCHITECTURE
