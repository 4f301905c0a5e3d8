"""U-Net, Lipschitz and unconstrained."""

from __future__ import annotations

from typing import Any

import keras

from deel_seg.models.blocks import Blocks
from deel_seg.models.configs import DEEPLAB_V3_CONFIGS, EncoderConfig
from deel_seg.models.encoder import encode
from deel_seg.models.segmentation_model import (
    Architecture,
    LipschitzSegmentation,
    PlainSegmentation,
)

Tensor = Any

ENCODER_CONFIGS: dict[str, EncoderConfig] = {
    name: EncoderConfig(**{field: getattr(config, field) for field in (
        "widths", "convolutions", "block", "residual_blocks", "branch_weight", "dilations",
    )})
    for name, config in DEEPLAB_V3_CONFIGS.items()
}  # fmt: skip
"""The encoders of the DeepLabV3 configs, under the same names."""


def _features(x: Tensor, config: EncoderConfig, blocks: Blocks) -> Tensor:
    *skips, x = encode(x, config, blocks)
    for index, (skip, width) in enumerate(
        zip(reversed(skips), reversed(config.widths[:-1]), strict=True)
    ):
        name = f"decoder{index + 1}"
        x = blocks.up_sample(x, width, f"{name}_up")
        x = blocks.concatenate([skip, x], f"{name}_concatenate")
        x = blocks.block(x, width, f"{name}_merge")
    return blocks.up_sample(x, max(config.widths[0] // 2, 2), "decoder_last_up")


_ARCHITECTURE = Architecture(ENCODER_CONFIGS, EncoderConfig, _features)


@keras.saving.register_keras_serializable("deel_seg")
class LipUNet(LipschitzSegmentation):
    """U-Net of orthogonal layers, with a proved Lipschitz constant.

    The encoder of `LipDeepLabV3`; each stage of the decoder up-samples, joins the encoder's
    features of that resolution by a scaled concatenation, and merges them.

    Args:
        config: A name as for `LipDeepLabV3`, an `EncoderConfig`, or a mapping of its values.
        num_classes: Logits a pixel; 1 for a binary model with one signed logit.
        input_shape: `(height, width, channels)`; height and width may be None.
        lipschitz_constant: The network's constant, exactly.
        **kwargs: The keyword arguments of `LipschitzSegmentation`.

    Example:

    >>> import deel_seg
    >>> deel_seg.LipUNet("S", num_classes=4).lipschitz_constant
    1.0

    References:
        Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation, 2015.
    """

    architecture = _ARCHITECTURE


@keras.saving.register_keras_serializable("deel_seg")
class UNet(PlainSegmentation):
    """The unconstrained twin of `LipUNet`.

    Args:
        config: As for `LipUNet`.
        num_classes: Logits a pixel.
        input_shape: `(height, width, channels)`; height and width may be None.
        **kwargs: The keyword arguments of `PlainSegmentation`.

    Example:

    >>> import deel_seg
    >>> deel_seg.UNet("S", num_classes=4).output_shape
    (None, None, None, 4)
    """

    architecture = _ARCHITECTURE
