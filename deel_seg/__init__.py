"""Certifiably robust semantic segmentation with Lipschitz networks."""

from importlib.metadata import version

from deel_seg import (
    attacks,
    certificates,
    data,
    export,
    folders,
    layers,
    lipschitz,
    losses,
    models,
    report,
    smoothing,
    tuning,
    visualize,
)
from deel_seg.evaluation import Evaluation, evaluate
from deel_seg.models import (
    FCN,
    DeepLabV3,
    LipDeepLabV3,
    LipFCN,
    LipschitzModel,
    LipUNet,
    UNet,
)

__version__ = version("deel_seg")

__all__ = [
    "FCN",
    "DeepLabV3",
    "Evaluation",
    "LipDeepLabV3",
    "LipFCN",
    "LipUNet",
    "LipschitzModel",
    "UNet",
    "__version__",
    "attacks",
    "certificates",
    "data",
    "evaluate",
    "export",
    "folders",
    "layers",
    "lipschitz",
    "losses",
    "models",
    "report",
    "smoothing",
    "tuning",
    "visualize",
]
