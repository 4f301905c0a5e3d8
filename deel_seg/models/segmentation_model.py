"""What the architectures share: from constructor arguments to a functional model and back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from deel_seg._checks import check_choice, check_integer, check_real, received
from deel_seg.layers import ConstantScaling, SizeMultiple
from deel_seg.lipschitz import lipschitz_bound
from deel_seg.models.blocks import Blocks, LipschitzBlocks, PlainBlocks
from deel_seg.models.configs import EncoderConfig
from deel_seg.models.lipschitz_model import LipschitzModel

Tensor = Any


@dataclass(frozen=True)
class Architecture:
    """An architecture, free of the block family.

    Args:
        configs: Named configs.
        config_type: Their type.
        features: `(x, config, blocks)` to features at full resolution, from which the classifier
            takes the logits.
    """

    configs: Mapping[str, EncoderConfig]
    config_type: type[EncoderConfig]
    features: Callable[[Tensor, Any, Blocks], Tensor]

    def config(self, config: Any) -> Any:
        """A config from its name, its values or itself."""
        if isinstance(config, str):
            return self.configs[check_choice("config", config, list(self.configs))]
        if isinstance(config, Mapping):
            return self.config_type.from_dict(config)
        if not isinstance(config, self.config_type):
            raise ValueError(
                f"`config` must be a name, a {self.config_type.__name__} or a mapping of its "
                "values. " + received(config=config)
            )
        return config


def segmentation_graph(
    features: Callable[..., Tensor],
    config: EncoderConfig,
    num_classes: int,
    input_shape: Sequence[int | None],
    blocks: Blocks,
    normalization: keras.layers.Layer | None,
) -> tuple[Tensor, Tensor]:
    """Input and logits: size check, normalisation, architecture, classifier."""
    check_integer("num_classes", num_classes, minimum=1)
    if len(input_shape) != 3 or input_shape[-1] is None:
        raise ValueError(
            "`input_shape` must be (height, width, channels), the channels known. "
            + received(input_shape=input_shape)
        )
    inputs = keras.Input(tuple(input_shape), name="image")
    x = SizeMultiple(config.multiple, name="size_check", dtype=blocks.dtype)(inputs)
    if normalization is not None:
        x = normalization(x)
    x = features(x, config, blocks)
    logits = blocks.convolve(x, num_classes, kernel_size=1, use_bias=True, name="classifier")
    return inputs, logits


def input_normalization(
    mean: Sequence[float] | None, std: Sequence[float] | None, channels: int, dtype: Any
) -> keras.layers.Layer | None:
    """Keras' Normalization with given statistics, or None if none are given."""
    if mean is None and std is None:
        return None
    for name, values in (("input_mean", mean), ("input_std", std)):
        if values is not None and np.shape(values) != (channels,):
            raise ValueError(
                f"`{name}` must have one value for each of the {channels} channels. "
                + received(**{name: values})
            )
    deviations = [1.0] * channels if std is None else list(std)
    if min(deviations) <= 0:
        raise ValueError("`input_std` must be positive. " + received(input_std=std))
    return keras.layers.Normalization(
        mean=[0.0] * channels if mean is None else list(mean),
        variance=np.square(deviations).tolist(),
        name="input_normalization",
        dtype=dtype,
    )


class LipschitzSegmentation(LipschitzModel):
    """The Lipschitz form of an architecture.

    Args:
        config: Name of a config, a config, or a mapping of its values.
        num_classes: Logits a pixel; 1 for a binary model with one signed logit.
        input_shape: `(height, width, channels)`; height and width may be None.
        lipschitz_constant: The network's constant, exactly.
        rms_scaling: Whether `RMSScaling` follows every convolution.
        keep_rms_gain: Leaves the product of the RMS factors in the constant, which is then
            `lipschitz_constant` times it, instead of dividing it out at the head.
        activation: `"max_min"` or `"group_sort"`.
        padding: `"same"` (zeros) or `"circular"`.
        input_mean: Mean of each input channel, subtracted inside the model.
        input_std: Standard deviation of each channel, divided by inside the model. That alone
            multiplies the constant by `1 / min(input_std)`; the head undoes it.
        name: Name of the model.
        dtype: Dtype policy of every layer; Keras' global one when None.
    """

    architecture: ClassVar[Architecture]

    def __init__(
        self,
        config: Any = "S",
        num_classes: int = 2,
        input_shape: Sequence[int | None] = (None, None, 3),
        lipschitz_constant: float = 1.0,
        *,
        rms_scaling: bool = False,
        keep_rms_gain: bool = False,
        activation: str = "max_min",
        padding: str = "same",
        input_mean: Sequence[float] | None = None,
        input_std: Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        config = self.architecture.config(config)
        constant = check_real(
            "lipschitz_constant", lipschitz_constant, minimum=0.0, exclusive_minimum=True
        )
        # === Layers and graph ===
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        blocks = LipschitzBlocks(
            activation=activation, padding=padding, rms_scaling=rms_scaling, dtype=policy
        )
        normalization = input_normalization(input_mean, input_std, input_shape[-1] or 0, policy)
        inputs, logits = segmentation_graph(
            self.architecture.features, config, num_classes, input_shape, blocks, normalization
        )
        gain = 1.0 if keep_rms_gain else lipschitz_bound(keras.Model(inputs, logits))
        if constant != gain:
            head = ConstantScaling(constant / gain, name="constant", dtype=policy)
            logits = head(logits)
        super().__init__(inputs, logits, name=name)
        # === Config ===
        self.arguments = {
            "config": config.to_dict(),
            "num_classes": num_classes,
            "input_shape": list(input_shape),
            "lipschitz_constant": constant,
            "rms_scaling": rms_scaling,
            "keep_rms_gain": keep_rms_gain,
            "activation": activation,
            "padding": padding,
            "input_mean": None if input_mean is None else list(input_mean),
            "input_std": None if input_std is None else list(input_std),
            "dtype": policy.name,
        }

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **copy.deepcopy(dict(self.arguments))}


class PlainSegmentation(keras.Model):
    """The unconstrained form of an architecture: the same layout, ordinary layers.

    Args:
        config: Name of a config, a config, or a mapping of its values.
        num_classes: Logits a pixel; 1 for a binary model with one signed logit.
        input_shape: `(height, width, channels)`; height and width may be None.
        input_mean: Mean of each input channel, subtracted inside the model.
        input_std: Standard deviation of each channel, divided by inside the model.
        name: Name of the model.
        dtype: Dtype policy of every layer; Keras' global one when None.
    """

    architecture: ClassVar[Architecture]

    def __init__(
        self,
        config: Any = "S",
        num_classes: int = 2,
        input_shape: Sequence[int | None] = (None, None, 3),
        *,
        input_mean: Sequence[float] | None = None,
        input_std: Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        config = self.architecture.config(config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        normalization = input_normalization(input_mean, input_std, input_shape[-1] or 0, policy)
        inputs, logits = segmentation_graph(
            self.architecture.features,
            config,
            num_classes,
            input_shape,
            PlainBlocks(policy),
            normalization,
        )
        super().__init__(inputs=inputs, outputs=logits, name=name)
        self.arguments = {
            "config": config.to_dict(),
            "num_classes": num_classes,
            "input_shape": list(input_shape),
            "input_mean": None if input_mean is None else list(input_mean),
            "input_std": None if input_std is None else list(input_std),
            "dtype": policy.name,
        }

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **copy.deepcopy(dict(self.arguments))}
