"""Segmentation networks: Lipschitz ones, and their unconstrained twins."""

from deel_seg.models.configs import DEEPLAB_V3_CONFIGS, DeepLabV3Config, EncoderConfig
from deel_seg.models.deeplab_v3 import DeepLabV3, LipDeepLabV3
from deel_seg.models.fcn import FCN, LipFCN
from deel_seg.models.lipschitz_model import LipschitzModel
from deel_seg.models.segmentation_model import LipschitzSegmentation, PlainSegmentation
from deel_seg.models.unet import LipUNet, UNet

__all__ = [
    "DEEPLAB_V3_CONFIGS",
    "FCN",
    "DeepLabV3",
    "DeepLabV3Config",
    "EncoderConfig",
    "LipDeepLabV3",
    "LipFCN",
    "LipUNet",
    "LipschitzModel",
    "LipschitzSegmentation",
    "PlainSegmentation",
    "UNet",
]
