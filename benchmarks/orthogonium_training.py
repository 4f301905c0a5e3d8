"""Times training steps of LipDeepLabV3's architecture as PyTorch's users build it of orthogonium.

    python benchmarks/orthogonium_training.py CONFIG SIZE BATCH TURNS STEPS

CONFIG is JSON with the widths, convolutions a stage and dilations of a config. Layers and arguments
are those of `deel_seg.models`: adaptive orthogonal convolutions with zero padding and their default
parametrisation (12 Björck iterations after 3 power iterations), MaxMin and BatchCentering2D;
and for the twin Conv2d, BatchNorm2d and ReLU. Steps are of AdamW on a cross-entropy. Called by
`benchmarks/training.py` with an interpreter that has PyTorch and orthogonium; writes JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

CLASSES = 19
NETWORKS = ("orthogonium", "torch")


def summary(values: Any) -> dict[str, Any]:
    """Median, quartiles, and how many."""
    lower, median, upper = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"median": median, "lower": lower, "upper": upper, "count": len(values)}


def build(kind: str, config: dict[str, Any]) -> Any:
    """The network, of orthogonium's layers or of PyTorch's."""
    import torch
    from torch import nn

    lipschitz = kind == "orthogonium"
    if lipschitz:
        from orthogonium.layers.conv.AOC import (
            AdaptiveOrthoConv2d,
            AdaptiveOrthoConvTranspose2d,
        )
        from orthogonium.layers.custom_activations import MaxMin
        from orthogonium.layers.normalization import BatchCentering2D

    def convolution(inputs: int, outputs: int, size: int = 3, **options: Any) -> Any:
        stride, dilation = options.get("stride", 1), options.get("dilation", 1)
        make = AdaptiveOrthoConv2d if lipschitz else nn.Conv2d
        return make(
            inputs, outputs, size, stride=stride, dilation=dilation,
            bias=options.get("bias", False), padding=dilation * (size // 2), padding_mode="zeros",
        )  # fmt: skip

    def up_sampling(inputs: int, outputs: int) -> Any:
        make = AdaptiveOrthoConvTranspose2d if lipschitz else nn.ConvTranspose2d
        return make(inputs, outputs, 2, stride=2, bias=False)

    def activated(layer: Any, channels: int) -> list[Any]:
        if lipschitz:
            return [layer, MaxMin(), BatchCentering2D(channels)]
        return [layer, nn.BatchNorm2d(channels), nn.ReLU()]

    class Pyramid(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.branches = nn.ModuleList(
                [
                    convolution(width, width, 1),
                    *(convolution(width, width, dilation=rate) for rate in config["aspp_rates"]),
                ]
            )

        def forward(self, x: Any) -> Any:
            joined = torch.cat([branch(x) for branch in self.branches], 1)
            return joined / len(self.branches) ** 0.5 if lipschitz else joined

    layers: list[Any] = []
    channels = 3
    for width in config["widths"]:
        layers += activated(convolution(channels, width, stride=2), width)
        for _ in range(1, config["convolutions"]):
            layers += activated(convolution(width, width), width)
        channels = width
    layers.append(Pyramid(channels))
    joined = channels * (1 + len(config["aspp_rates"]))
    layers += activated(convolution(joined, channels, 1), channels)
    for _ in range(config["decoder_convolutions"]):
        layers += activated(convolution(channels, channels), channels)
    for _ in config["widths"]:
        layers += activated(up_sampling(channels, channels // 2), channels // 2)
        channels //= 2
    return nn.Sequential(*layers, convolution(channels, CLASSES, 1, bias=True))


def training_step(network: Any, size: int, batch_size: int) -> Callable[[], float]:
    """A step on a batch that is there."""
    import torch

    generator = torch.Generator().manual_seed(0)
    images = torch.rand((batch_size, 3, size, size), generator=generator)
    labels = torch.randint(0, CLASSES, (batch_size, size, size), generator=generator)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    network.train()

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(20.0 * network(images), labels) / 20.0
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def compare(
    config: dict[str, Any], size: int, batch_size: int, turns: int, steps: int
) -> dict[str, Any]:
    """Both networks by turns, each of them first as often as last."""
    import torch

    torch.manual_seed(0)
    calls = {kind: training_step(build(kind, config), size, batch_size) for kind in NETWORKS}
    seconds: dict[str, list[float]] = {kind: [] for kind in NETWORKS}
    for turn in range(turns + 1):
        for kind in NETWORKS if turn % 2 else reversed(NETWORKS):
            gc.collect()
            calls[kind]()
            start = time.perf_counter()
            for _ in range(steps):
                calls[kind]()
            seconds[kind].append((time.perf_counter() - start) / steps)
    timed = {kind: values[1:] for kind, values in seconds.items()}
    return {
        "seconds": {kind: summary(values) for kind, values in timed.items()},
        "ratio": summary(np.divide(*(timed[kind] for kind in NETWORKS))),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    config, *numbers = sys.argv[1:]
    print(json.dumps(compare(json.loads(config), *map(int, numbers))))
