"""Lipschitz layers: each states a proved l2 bound, `layer.lipschitz_constant`."""

from deel_seg.layers.activations import GroupSort2, MaxMin
from deel_seg.layers.batch_centering import BatchCentering
from deel_seg.layers.constant_scaling import ConstantScaling
from deel_seg.layers.lipschitz_layer import LipschitzLayer
from deel_seg.layers.orthogonal_conv2d import OrthogonalConv2D
from deel_seg.layers.orthogonal_conv2d_transpose import OrthogonalConv2DTranspose
from deel_seg.layers.pooling import (
    ImageLevelPooling,
    ScaledAveragePooling2D,
    ScaledL2NormPooling2D,
)
from deel_seg.layers.rms_scaling import RMSScaling
from deel_seg.layers.scaled_add import ScaledAdd
from deel_seg.layers.scaled_concatenate import ScaledConcatenate
from deel_seg.layers.size_multiple import SizeMultiple
from deel_seg.layers.space_to_depth import DepthToSpace, SpaceToDepth

__all__ = [
    "BatchCentering",
    "ConstantScaling",
    "DepthToSpace",
    "GroupSort2",
    "ImageLevelPooling",
    "LipschitzLayer",
    "MaxMin",
    "OrthogonalConv2D",
    "OrthogonalConv2DTranspose",
    "RMSScaling",
    "ScaledAdd",
    "ScaledAveragePooling2D",
    "ScaledConcatenate",
    "ScaledL2NormPooling2D",
    "SizeMultiple",
    "SpaceToDepth",
]
