"""What a training image may be turned into, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from deel_seg._checks import check_real, received


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of the random changes; each image draws its own.

    The first four are one geometric map that moves image and labels together; the next
    three change the image alone and keep it within `[0, 1]`; noise comes last.

    Attributes:
        crop_scale: Smallest and largest share of the image's area a crop keeps, of the
            image's own aspect. `(1.0, 1.0)` does not crop.
        horizontal_flip: Whether left and right are swapped half of the time.
        vertical_flip: Whether top and bottom are swapped half of the time.
        rotation: Largest angle to either side, in degrees. What a rotation uncovers is a
            mirror image in the image and 255, void, in the labels.
        brightness: Largest value added to or taken from all channels.
        contrast: Largest relative change of the distance to the image's mean colour.
        saturation: Largest relative change of the distance to the pixel's mean grey.
        noise: Standard deviation of Gaussian noise, which is not clipped: what a network is
            trained with that randomized smoothing is to certify.

    Example:
    >>> from deel_seg.data import Augmentation
    >>> Augmentation(rotation=5.0).horizontal_flip
    True
    """

    crop_scale: tuple[float, float] = (0.5, 1.0)
    horizontal_flip: bool = True
    vertical_flip: bool = False
    rotation: float = 10.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.crop_scale, (tuple, list)) or len(self.crop_scale) != 2:
            raise ValueError(
                f"`crop_scale` must be a pair of areas. {received(crop_scale=self.crop_scale)}"
            )
        low, high = self.crop_scale
        check_real("crop_scale", low, minimum=0.0, exclusive_minimum=True)
        check_real("crop_scale", high, minimum=low, maximum=1.0)
        check_real("rotation", self.rotation, minimum=0.0, maximum=180.0)
        for name in ("brightness", "contrast", "saturation"):
            check_real(name, getattr(self, name), minimum=0.0, maximum=1.0)
        check_real("noise", self.noise, minimum=0.0)
