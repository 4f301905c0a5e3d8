"""A segmentation network whose temperature, width and learning rate are searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import keras

from deel_seg._checks import check_integer, check_real, received
from deel_seg._fitting import cosine_adamw
from deel_seg.losses import TemperatureCrossentropy
from deel_seg.models import LipDeepLabV3
from deel_seg.tuning.spaces import Space
from deel_seg.tuning.tuner_library import keras_tuner


class SegmentationHyperModel(keras_tuner.HyperModel):
    """Makes compiled segmentation networks for `sweep`, or for any tuner of keras-tuner.

    They are trained with `TemperatureCrossentropy` by AdamW, with a cosine down to a learning rate
    of 1e-6. Each of `temperature`, `learning_rate` and `width` is one number, which is not
    searched; a list of numbers; or a range such as `{"min": 1, "max": 100, "sampling": "log"}`,
    with a `step` if wanted. What is searched is a hyperparameter of that name.

    Args:
        num_classes: Logits a pixel.
        metrics: What is measured on the validation data. Each network gets copies of its own.
        steps: Steps of the whole training: batches an epoch times epochs.
        model: The model's class, Lipschitz or not.
        config: Its config: a name, a config or a mapping of its values.
        temperature: Of the loss.
        learning_rate: At the beginning.
        width: Factor to the channels of every stage, rounded to the next even number.
        weight_decay: Of AdamW.
        ignore_class: Label of the pixels that the loss leaves out.
        jit_compile: As `compile` takes it.
        **model_options: Other arguments of the model, such as `input_mean`.

    Raises:
        ValueError: If an argument is out of range.
        ImportError: If keras-tuner is not installed.

    Example:
    >>> import keras_tuner
    >>> from deel_seg.certificates import CRPA, PixelAccuracy
    >>> from deel_seg.tuning import SegmentationHyperModel
    >>> hypermodel = SegmentationHyperModel(
    ...     num_classes=5, metrics=[PixelAccuracy(), CRPA(eps=0.1)], steps=100,
    ...     config={"widths": [4], "convolutions": 1, "aspp_rates": []},
    ...     temperature=[1.0, 5.0, 20.0], width=[1.0, 0.5])
    >>> hp = keras_tuner.HyperParameters()
    >>> model = hypermodel.build(hp)
    >>> model.output_shape, hp.values
    ((None, None, None, 5), {'temperature': 1.0, 'width': 1.0})
    """

    def __init__(
        self,
        *,
        num_classes: int,
        metrics: Sequence[keras.metrics.Metric],
        steps: int,
        model: type[keras.Model] = LipDeepLabV3,
        config: Any = "S",
        temperature: Any = 20.0,
        learning_rate: Any = 5e-3,
        width: Any = 1.0,
        weight_decay: float = 1e-4,
        ignore_class: int | None = None,
        jit_compile: Any = "auto",
        **model_options: Any,
    ) -> None:
        super().__init__()
        if not hasattr(model, "architecture"):
            raise ValueError(
                "`model` must be a model class of deel_seg, such as LipUNet. "
                + received(model=model)
            )
        self.model = model
        self.config = model.architecture.config(config)
        self.num_classes = check_integer("num_classes", num_classes, minimum=1)
        self.metrics = list(metrics)
        self.steps = check_integer("steps", steps, minimum=1)
        self.spaces = {
            "temperature": Space("temperature", temperature),
            "learning_rate": Space("learning_rate", learning_rate),
            "width": Space("width", width),
        }
        self.weight_decay = check_real("weight_decay", weight_decay, minimum=0)
        self.ignore_class = ignore_class
        self.jit_compile = jit_compile
        self.model_options = model_options

    def build(self, hp: Any) -> keras.Model:
        """A compiled network; `hp` is a `keras_tuner.HyperParameters`."""
        chosen = {name: space.choose(hp) for name, space in self.spaces.items()}
        model = self.model(
            scaled_config(self.config, chosen["width"]), self.num_classes, **self.model_options
        )
        model.compile(
            cosine_adamw(chosen["learning_rate"], self.steps, self.weight_decay),
            TemperatureCrossentropy(chosen["temperature"], ignore_class=self.ignore_class),
            metrics=[type(each).from_config(each.get_config()) for each in self.metrics],
            jit_compile=self.jit_compile,
        )
        return model

    def settings(self) -> Mapping[str, Any]:
        """What every trial has in common, as JSON has it: all but what is searched."""
        return {
            "model": self.model.__name__,
            "config": self.config.to_dict(),
            "num_classes": self.num_classes,
            "metrics": [
                {"class": type(each).__name__, **_plain(each.get_config())} for each in self.metrics
            ],
            "steps": self.steps,
            **{name: space.fixed for name, space in self.spaces.items()},
            "weight_decay": self.weight_decay,
            "ignore_class": self.ignore_class,
            "model_options": _plain(self.model_options),
        }


def scaled_config(config: Any, factor: float) -> Any:
    """A config with so many times the channels, each rounded to an even number of at least 2.

    Example:
    >>> from deel_seg.models import DeepLabV3Config
    >>> from deel_seg.tuning.hypermodel import scaled_config
    >>> scaled_config(DeepLabV3Config(widths=(32, 64)), 0.5).widths
    (16, 32)
    """
    names = {field.name for field in fields(config)} & {"widths", "decoder_widths"}
    return replace(
        config,
        **{
            name: tuple(max(2, 2 * round(width * factor / 2)) for width in getattr(config, name))
            for name in names
        },
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that JSON takes; of others their text."""
    return {
        name: value if isinstance(value, (str, int, float, bool, list, tuple, type(None)))
        else str(value)
        for name, value in values.items()
    }  # fmt: skip
