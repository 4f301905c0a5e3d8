from __future__ import annotations

import numpy as np
from PIL import Image

from deel_seg.data import shapes


def test_every_class_is_common_enough_to_be_learnt() -> None:
    labels = np.stack([shapes.render(index, 32)[1] for index in range(100)])
    shares = np.bincount(labels.ravel(), minlength=5) / labels.size
    assert len(shares) == 5
    assert shares.min() > 0.02
    assert 0.4 < shares[0] < 0.9


def test_colour_helps_but_does_not_settle_the_class() -> None:
    images, labels = map(np.stack, zip(*(shapes.render(k, 32) for k in range(200)), strict=True))
    hues = np.stack([np.asarray(Image.fromarray(image).convert("HSV")) for image in images])[..., 0]
    # Classes 1 to 4 have their usual hues a quarter of the wheel apart, the first at zero.
    nearest = np.rint(hues / 64.0) % 4 + 1
    right = (nearest == labels)[labels > 0].mean()
    assert 0.6 < right < 0.95
