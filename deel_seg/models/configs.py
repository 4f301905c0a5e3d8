"""Sizes of the networks, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from deel_seg._checks import check_choice, check_integer, check_real, received


@dataclass(frozen=True)
class EncoderConfig:
    """Stages of an encoder, each of which halves the resolution with its first convolution.

    Args:
        widths: Channels of each stage.
        convolutions: 3x3 convolutions a stage, the strided one included; with
            `block="residual"` only the strided one is left, and blocks take the place of the rest.
        block: `"plain"`, convolutions one after the other as in the paper, or `"residual"`.
        residual_blocks: Blocks a stage with `block="residual"`, of two convolutions each.
        branch_weight: Share of the branch in a residual sum at the start (it is learned).
        dilations: Dilation of the convolutions of each stage that are not strided; 1 if empty.

    Raises:
        ValueError: If a value is out of range or the lengths do not fit.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    convolutions: int = 3
    block: str = "plain"
    residual_blocks: int = 2
    branch_weight: float = 0.12
    dilations: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("widths", "dilations"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.widths:
            raise ValueError("`widths` must name one stage or more. " + received(widths=()))
        for width in self.widths:
            check_integer("widths", width, minimum=2)
            if width % 2:
                raise ValueError("`widths` must be even. " + received(widths=self.widths))
        for dilation in self.dilations:
            check_integer("dilations", dilation, minimum=1)
        if self.dilations and len(self.dilations) != len(self.widths):
            raise ValueError(
                "`dilations` must have one value a stage, as `widths`. "
                + received(dilations=self.dilations, widths=self.widths)
            )
        check_integer("convolutions", self.convolutions, minimum=1)
        check_integer("residual_blocks", self.residual_blocks, minimum=1)
        check_choice("block", self.block, ("plain", "residual"))
        check_real(
            "branch_weight", self.branch_weight,
            minimum=0.0, maximum=1.0, exclusive_minimum=True, exclusive_maximum=True,
        )  # fmt: skip

    @property
    def multiple(self) -> int:
        """What height and width must be multiples of."""
        return int(2 ** len(self.widths))

    def dilation(self, stage: int) -> int:
        return self.dilations[stage] if self.dilations else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"`config` has no entry {unknown}; it has {sorted(known)}. "
                             + received(config=dict(values)))  # fmt: skip
        return cls(**values)


@dataclass(frozen=True)
class DeepLabV3Config(EncoderConfig):
    """An `EncoderConfig` with DeepLabV3's atrous pyramid and decoder behind it.

    Args:
        aspp_rates: Dilations of the pyramid's 3x3 branches, beside a 1x1 one.
        image_level: Whether the pyramid has a branch of image-level features too.
        decoder_convolutions: 3x3 convolutions between pyramid and up-sampling.
        decoder_widths: Channels after each up-sampling; halved each time if empty.

    The other arguments are those of `EncoderConfig`.

    Example:

    >>> from deel_seg.models import DeepLabV3Config
    >>> DeepLabV3Config(widths=(16, 32), block="residual").multiple
    4
    """

    aspp_rates: tuple[int, ...] = (6, 12, 18)
    image_level: bool = False
    decoder_convolutions: int = 1
    decoder_widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("aspp_rates", "decoder_widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for rate in self.aspp_rates:
            check_integer("aspp_rates", rate, minimum=1)
        check_integer("decoder_convolutions", self.decoder_convolutions, minimum=0)
        if self.decoder_widths and len(self.decoder_widths) != len(self.widths):
            raise ValueError(
                "`decoder_widths` must have one value a stage, as `widths`. "
                + received(decoder_widths=self.decoder_widths, widths=self.widths)
            )
        for width in self.up_sampling_widths:
            if width < 2 or width % 2:
                raise ValueError(
                    "`decoder_widths` (`widths[-1]` halved once a stage, if not given) must be "
                    "even and at least 2. " + received(decoder_widths=self.up_sampling_widths)
                )

    @property
    def up_sampling_widths(self) -> tuple[int, ...]:
        stages = range(1, len(self.widths) + 1)
        return self.decoder_widths or tuple(self.widths[-1] // 2**stage for stage in stages)


_S = DeepLabV3Config(widths=(32, 64, 128), convolutions=3)

DEEPLAB_V3_CONFIGS: dict[str, DeepLabV3Config] = {
    "S": _S,
    "M1": replace(_S, widths=(64, 128, 256), convolutions=5),
    "M2": replace(_S, widths=(64, 128, 256, 512), convolutions=5),
    "L": replace(_S, widths=(64, 128, 256, 512), convolutions=7),
    "XL": replace(_S, widths=(128, 256, 512, 1024, 2048), convolutions=5),
    "R": replace(_S, block="residual", image_level=False),
}
"""S, M1, M2, L and XL: the paper's (section F). R: residual blocks in S's widths, ours."""
