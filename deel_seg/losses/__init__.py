"""Losses over pixels for Lipschitz segmentation networks."""

from deel_seg.losses.cosine_similarity import CosineSimilarity
from deel_seg.losses.hkr import HKR
from deel_seg.losses.pixel_loss import PixelLoss
from deel_seg.losses.temperature_crossentropy import TemperatureCrossentropy

__all__ = ["HKR", "CosineSimilarity", "PixelLoss", "TemperatureCrossentropy"]
