"""Random changes of a batch of images and labels, as a pure function of a seed."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from deel_seg.data.augmentation import Augmentation
from deel_seg.data.dataset_info import VOID


def augment_batch(
    images: Any, labels: Any, *, seed: Any, augmentation: Augmentation
) -> tuple[Any, Any]:
    """Crops, rotates and flips images and labels together, changes the colours, adds noise.

    Crop, rotation and flip are one affine map, so each pixel is interpolated once: the
    image bilinearly, the label by its nearest pixel.

    Args:
        images: float32 `(batch, height, width, channels)` in `[0, 1]`.
        labels: uint8 `(batch, height, width)`.
        seed: Two integers; the same seed gives the same result.
        augmentation: The ranges to draw from.

    Returns:
        Images and labels of the same shapes and dtypes. Labels are those of the input, or
        255 where the map looks beyond the image.

    Example:
    >>> import tensorflow as tf
    >>> from deel_seg.data import Augmentation
    >>> from deel_seg.data.augment import augment_batch
    >>> labels = tf.reshape(tf.cast(tf.range(16), tf.uint8), (1, 4, 4))
    >>> images = tf.cast(labels, tf.float32)[..., None] / 16.0
    >>> flip = Augmentation(crop_scale=(1.0, 1.0), rotation=0.0)
    >>> flipped, moved = augment_batch(images, labels, seed=(0, 2), augmentation=flip)
    >>> bool(tf.reduce_all(flipped[..., 0] * 16.0 == tf.cast(moved, tf.float32)))
    True
    """
    draws = tf.random.stateless_uniform((9, tf.shape(images)[0]), seed=seed)
    geometry = _affine_maps(draws[:6], tf.shape(images)[1], tf.shape(images)[2], augmentation)
    images = _warp(images, geometry, "BILINEAR", "REFLECT", fill=0.0)
    labels = _warp(labels[..., None], geometry, "NEAREST", "CONSTANT", fill=float(VOID))[..., 0]
    images = _change_colours(images, draws[6:], augmentation)
    if augmentation.noise:
        other_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        images += augmentation.noise * tf.random.stateless_normal(tf.shape(images), other_seed)
    return images, labels


def _affine_maps(draws: Any, height: Any, width: Any, augmentation: Augmentation) -> Any:
    """Returns the maps from output to input pixels, `(batch, 8)`.

    With `c` the middle of the image, an output pixel `q` shows the input pixel
    `centre + zoom * rotation * flip * (q - c)`.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    low, high = augmentation.crop_scale
    zoom = tf.sqrt(low + (high - low) * draws[0])
    # The whole crop stays inside the image, apart from the corners a rotation turns out.
    centre_x = (width - 1.0) / 2.0 + (1.0 - zoom) * width * (draws[1] - 0.5)
    centre_y = (height - 1.0) / 2.0 + (1.0 - zoom) * height * (draws[2] - 0.5)
    angle = math.radians(augmentation.rotation) * (2.0 * draws[3] - 1.0)
    flip_x = tf.where(draws[4] < 0.5, -1.0, 1.0) if augmentation.horizontal_flip else 1.0
    flip_y = tf.where(draws[5] < 0.5, -1.0, 1.0) if augmentation.vertical_flip else 1.0
    xx, xy = zoom * tf.cos(angle) * flip_x, -zoom * tf.sin(angle) * flip_y
    yx, yy = zoom * tf.sin(angle) * flip_x, zoom * tf.cos(angle) * flip_y
    middle_x, middle_y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    shift_x = centre_x - xx * middle_x - xy * middle_y
    shift_y = centre_y - yx * middle_x - yy * middle_y
    none = tf.zeros_like(zoom)
    return tf.stack([xx, xy, shift_x, yx, yy, shift_y, none, none], axis=1)


def _warp(pixels: Any, geometry: Any, interpolation: str, fill_mode: str, *, fill: float) -> Any:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=geometry,
        output_shape=tf.shape(pixels)[1:3],
        fill_value=fill,
        interpolation=interpolation,
        fill_mode=fill_mode,
    )


def _change_colours(images: Any, draws: Any, augmentation: Augmentation) -> Any:
    """Changes brightness, contrast and saturation, one draw per image each."""
    if not (augmentation.brightness or augmentation.contrast or augmentation.saturation):
        return images
    signed = (2.0 * draws - 1.0)[:, :, None, None, None]
    images += augmentation.brightness * signed[0]
    if augmentation.contrast:
        mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
        images = mean + (1.0 + augmentation.contrast * signed[1]) * (images - mean)
    if augmentation.saturation:
        grey = tf.reduce_mean(images, axis=3, keepdims=True)
        images = grey + (1.0 + augmentation.saturation * signed[2]) * (images - grey)
    return tf.clip_by_value(images, 0.0, 1.0)
