"""keras-tuner, or a sentence on how to get it."""

from __future__ import annotations

try:
    import keras_tuner
except ImportError as error:
    raise ImportError("Sweeps need keras-tuner: pip install 'deel_seg[tuner]'.") from error

__all__ = ["keras_tuner"]
