"""The encoder that all architectures share."""

from __future__ import annotations

from typing import Any

from deel_seg.models.blocks import Blocks
from deel_seg.models.configs import EncoderConfig

Tensor = Any


def encode(x: Tensor, config: EncoderConfig, blocks: Blocks) -> list[Tensor]:
    """Features of each stage, at 1/2, 1/4, ... of the resolution."""
    features = []
    for stage, width in enumerate(config.widths):
        name, dilation = f"encoder{stage + 1}", config.dilation(stage)
        x = blocks.block(x, width, f"{name}_1", stride=2)
        if config.block == "plain":
            for index in range(1, config.convolutions):
                x = blocks.block(x, width, f"{name}_{index + 1}", dilation=dilation)
        else:
            for index in range(config.residual_blocks):
                x = blocks.residual(
                    x, f"{name}_residual{index + 1}",
                    dilation=dilation, branch_weight=config.branch_weight,
                )  # fmt: skip
        features.append(x)
    return features
