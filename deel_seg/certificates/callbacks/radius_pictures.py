"""Maps of certified radii as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates.pixel_radius import pixel_radius
from deel_seg.certificates.pixels import integer_labels

Tensor = Any

# Five colours of viridis, and three of Okabe and Ito's, which all kinds of colour vision tell
# apart.
_SCALE = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
_CERTIFIED, _RIGHT, _WRONG = (0, 158, 115), (240, 228, 66), (213, 94, 0)
_IGNORED = (204, 204, 204)


def _radius(logits: Tensor, labels: Tensor, lipschitz_constant: Tensor, **static: Any) -> Tensor:
    return pixel_radius(
        logits, integer_labels(labels), lipschitz_constant=lipschitz_constant, **static
    )


# Compiled from outside, where an image with logits that are not finite is NaN and no error.
_compiled_radius = compiled(
    _radius, static_argnames=("p", "ignore_class", "logit_tolerance", "class_groups")
)


def radius_maps(
    logits: Tensor, labels: Tensor, lipschitz_constant: float, **options: Any
) -> NDArray[np.float32]:
    """Budget that flips each pixel alone, `(batch, H, W)`: 0 where wrong, NaN where left out."""
    constant = ops.convert_to_tensor(lipschitz_constant, accumulation_dtype())
    radii = _compiled_radius(logits, labels, constant, **options)
    return ops.convert_to_numpy(radii)


def radius_picture(radius: NDArray[np.float32], top: float) -> NDArray[np.uint8]:
    """Radii `(H, W)` from dark, 0, to bright, `top` and above; grey where there is none."""
    shares = np.clip(np.nan_to_num(radius / top, nan=0.0, posinf=1.0), 0.0, 1.0)
    stops = np.linspace(0.0, 1.0, len(_SCALE))
    colours = np.stack([np.interp(shares, stops, channel) for channel in _SCALE.T], axis=-1)
    return np.where(np.isnan(radius)[..., None], _IGNORED, colours).astype(np.uint8)


def certified_picture(radius: NDArray[np.float32], eps: float) -> NDArray[np.uint8]:
    """Green: no attack of size `eps` makes this pixel wrong; yellow: right; red: wrong; grey: void.

    Each pixel is certified alone. At a radius of exactly `eps` it ties, and a tie is lost.
    """
    radii = radius.astype("float64")[..., None]  # `eps` would be rounded to meet float32.
    picture = np.where(radii > 0, _RIGHT, _WRONG)
    picture = np.where(radii > eps, _CERTIFIED, picture)
    return np.where(np.isnan(radii), _IGNORED, picture).astype(np.uint8)
