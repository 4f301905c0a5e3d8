r"""Upper bounds of the norm that a convolution has when every value of its kernel is made positive.

It is what rounding is weighed with: a computed sum of products is off by a share of the sum of
their absolute values. The symbol of $|K|$ (see `convolution_norm`) is nowhere larger, entry by
entry, than at frequency zero, where it is the sum of the taps; of two matrices with no negative
entry the larger has the larger norm. So that one matrix has the norm for images of every size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deel_seg.norms.matrix_norm import largest_norm_above, product_error
from deel_seg.norms.taps import on_patches, with_holes


def absolute_norm_above(
    kernel: Any,
    strides: tuple[int, int] = (1, 1),
    *,
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> float:
    """Upper bound of the l2 norm of the convolution of the absolute values of a kernel.

    For all that `convolution_norm_above` holds for: every image size, padding with zeros, circular
    padding where the strides divide the image, and the transposed convolution.

    Args:
        kernel: `(height, width, channels in / groups, channels out)`, finite.
        strides: In height and width.
        dilation: In height and width.
        groups: Channel groups.

    Returns:
        The bound, float64, some 1e-3 above the largest norm over all sizes at most.

    Raises:
        ValueError: For a kernel that is not finite.

    Example:
    A difference of two neighbours, which is at most twice a value.

    >>> import numpy as np
    >>> from deel_seg.norms import absolute_norm_above
    >>> 2.0 <= absolute_norm_above(np.array([1.0, -1.0]).reshape(1, 2, 1, 1)) < 2.01
    True
    """
    kernel = np.abs(np.asarray(kernel).astype("float64"))
    if max(strides) > 1 and max(dilation) > 1:
        # A tap's place in its patch depends on the holes.
        kernel = with_holes(kernel, dilation)
    parts = [on_patches(part, strides) for part in np.split(kernel, groups, axis=-1)]
    sums = np.stack([np.sum(taps, axis=(0, 1)) for taps in parts])
    rounding = 1.0 + product_error(kernel.shape[0] * kernel.shape[1])
    return largest_norm_above(sums, tightness=1e-3) * rounding
