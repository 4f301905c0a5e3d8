"""Networks that `vanilla_export` gives, as files without Keras, and in PyTorch out of these.

PyTorch is imported where a network is built: the file is written where there is none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def write_network(model: Any, file: Path) -> None:
    """Writes the layers of a plain functional Keras model and their weights.

    Raises:
        ValueError: For a layer that has no form here.
    """
    steps: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for number, layer in enumerate(model.operations):
        kind, config = type(layer).__name__, layer.get_config()
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        step: dict[str, Any] = {"kind": kind, "output": str(id(layer.output))}
        step["inputs"] = [str(id(each)) for each in inputs]
        if kind in ("Conv2D", "Conv2DTranspose"):
            _check_convolution(layer, config)
            step |= {"strides": config["strides"], "dilation": config["dilation_rate"]}
            arrays |= {f"{number}_kernel": np.asarray(layer.kernel)}
            if config["use_bias"]:
                arrays[f"{number}_bias"] = np.asarray(layer.bias)
        elif kind == "Rescaling":
            arrays |= {f"{number}_{key}": np.float32(config[key]) for key in ("scale", "offset")}
        elif kind not in ("InputLayer", "Maximum", "Minimum", "Concatenate"):
            raise ValueError(f"There is no form in PyTorch of a layer. Received: layer={kind}")
        steps.append(step)
    steps.append({"kind": "Output", "inputs": [str(id(model.output))]})
    np.savez(file, steps=json.dumps(steps), **arrays)


def _check_convolution(layer: Any, config: dict[str, Any]) -> None:
    plain = config["padding"] == "same" and config.get("groups", 1) == 1
    if not (plain and config["activation"] == "linear"):
        raise ValueError(
            "A convolution must have the padding `same`, one group and no activation. "
            f"Received: layer={layer.name}"
        )


class TorchNetwork:
    """A network from a file of `write_network`: `(batch, 3, H, W)` to logits, channels first."""

    def __init__(self, file: Path) -> None:
        import torch

        with np.load(file) as stored:
            self.steps = json.loads(str(stored["steps"]))
            self.weights = {
                name: torch.from_numpy(np.array(stored[name]))
                for name in stored.files
                if name != "steps"
            }

    def __call__(self, images: Any) -> Any:
        import torch

        values: dict[str, Any] = {}
        for number, step in enumerate(self.steps):
            given = [values[name] for name in step["inputs"] if name in values]
            kind = step["kind"]
            if kind == "Output":
                return given[0]
            if kind == "InputLayer":
                found = images
            elif kind in ("Maximum", "Minimum"):
                found = getattr(torch, kind.lower())(*given)
            elif kind == "Concatenate":
                found = torch.cat(given, dim=1)
            elif kind == "Rescaling":
                scale, offset = (self._of_channels(number, key) for key in ("scale", "offset"))
                found = given[0] * scale + offset
            else:
                found = self._convolved(number, step, given[0])
            values[step["output"]] = found
        raise ValueError("The file of the network names no output.")

    def _of_channels(self, number: int, key: str) -> Any:
        return self.weights[f"{number}_{key}"].reshape(1, -1, 1, 1)

    def _convolved(self, number: int, step: dict[str, Any], values: Any) -> Any:
        from torch.nn import functional

        kernel, bias = self.weights[f"{number}_kernel"], self.weights.get(f"{number}_bias")
        strides, dilation = step["strides"], step["dilation"]
        kernel = kernel.permute(3, 2, 0, 1)
        sizes = [d * (k - 1) + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True)]
        if step["kind"] == "Conv2DTranspose":
            wide = functional.conv_transpose2d(values, kernel, None, strides, dilation=dilation)
            wanted = [size * s for size, s in zip(values.shape[2:], strides, strict=True)]
            extra = [max(size - s, 0) for size, s in zip(sizes, strides, strict=True)]
            # Where strides are larger than the kernel, zeros are left at the end.
            room = [max(w - size, 0) for w, size in zip(wanted, wide.shape[2:], strict=True)]
            wide = functional.pad(wide, (0, room[1], 0, room[0]))
            top, left = (each // 2 for each in extra)
            found = wide[:, :, top : top + wanted[0], left : left + wanted[1]]
            return found if bias is None else found + bias.reshape(1, -1, 1, 1)
        pads = []
        for length, s, size in zip(values.shape[2:], strides, sizes, strict=True):
            total = max((-(-length // s) - 1) * s + size - length, 0)
            pads.append((total // 2, total - total // 2))
        values = functional.pad(values, (*pads[1], *pads[0]))
        return functional.conv2d(values, kernel, bias, strides, dilation=dilation)
