"""Regions of one predicted class, and the budgets that they take."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from scipy import ndimage

from deel_seg._checks import check_integer, check_real
from deel_seg.certificates import (
    list_regions,
    region_radius,
    worst_case_segmentation,
    worst_case_vanishing,
)
from deel_seg.visualize.canvas import (
    MISSED,
    RIGHT,
    WHITE,
    Array,
    add_legend,
    class_called,
    image_and_logits,
    percent,
    picture_panels,
    rounded_down,
    show_found,
    where_found,
)


def regions_figure(
    image: Any,
    logits: Any,
    *,
    eps: float,
    fraction: float = 0.9,
    min_pixels: int = 1,
    lipschitz_constant: float = 1.0,
    logit_tolerance: float = 0.0,
) -> Any:
    """Draws what every connected region of one predicted class takes, as the paper's Figure 1.

    Panels: the image, each region in the colour of the budget that changes `fraction` of it, with
    that budget, rounded down, on it; and the regions that take at least `eps`.

    Args:
        image: `(height, width)`, `(height, width, 1)` or `(height, width, 3)`, in `[0, 1]`.
        logits: `(height, width, classes)`, floating point.
        eps: Budget `>= 0` of the second panel, an l2 norm in the units of the model input.
        fraction: Share of a region's pixels that have to change.
        min_pixels: Smaller regions are left out.
        lipschitz_constant: Proved upper bound of the map from image to logits.
        logit_tolerance: How far each logit may be from its exact value.

    Returns:
        A `matplotlib.figure.Figure`, not tied to pyplot.

    Raises:
        ValueError: If an argument has the wrong shape or value.
        ImportError: If matplotlib is not installed.

    Example:
    >>> import numpy as np
    >>> from deel_seg.visualize import regions_figure
    >>> logits = np.zeros((6, 6, 2))
    >>> logits[:3, :, 0], logits[3:, :, 1] = 1.0, 2.0
    >>> figure = regions_figure(np.zeros((6, 6, 3)), logits, eps=5.0)
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['2.91', '5.83']

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Figure 1, Appendix H.
    """
    eps = check_real("eps", eps, minimum=0.0)
    picture, batch = image_and_logits(image, logits)
    certified = region_radius(
        batch,
        fraction=fraction,
        min_pixels=min_pixels,
        lipschitz_constant=lipschitz_constant,
        logit_tolerance=logit_tolerance,
    )
    radius = ops.convert_to_numpy(certified.radius)[0]
    figure, panels = picture_panels(2)
    panels[0].imshow(picture)
    shown = panels[0].imshow(radius, cmap="viridis", alpha=0.6, vmin=0.0)
    figure.colorbar(shown, ax=panels[0], shrink=0.7, label="l2 norm")
    _write_budgets(panels[0], certified, batch)
    panels[0].set_title(f"budget that changes {100 * fraction:g} % of a region")
    kept = np.nan_to_num(radius) >= eps
    panels[1].imshow(np.where(kept[..., None], picture, WHITE))
    panels[1].set_title(f"regions that take {eps:g} or more")
    return figure


def vanishing_figure(
    image: Any,
    logits: Any,
    *,
    class_id: int,
    eps: float,
    fraction: float = 0.9,
    min_pixels: int = 1,
    class_name: str | None = None,
    lipschitz_constant: float = 1.0,
    logit_tolerance: float = 0.0,
) -> Any:
    """Draws how much of what was found a budget can make vanish, as the paper's Figure 8.

    Panels: the image, dark where the class is not found, with the budget that changes `fraction`
    of each region; and what is left of it in the worst case of `eps`.

    Args:
        image: As in `regions_figure`.
        logits: `(height, width, classes)`, floating point.
        class_id: The class that must not vanish.
        eps: Budget `>= 0`, an l2 norm in the units of the model input.
        fraction: Share of a region's pixels that have to change.
        min_pixels: Smaller regions bear no budget.
        class_name: What to call the class; its number if not given.
        lipschitz_constant: Proved upper bound of the map from image to logits.
        logit_tolerance: How far each logit may be from its exact value.

    Returns:
        A `matplotlib.figure.Figure`, not tied to pyplot.

    Raises:
        ValueError: If an argument has the wrong shape or value.
        ImportError: If matplotlib is not installed.

    Example:
    >>> import numpy as np
    >>> from deel_seg.visualize import vanishing_figure
    >>> logits = np.stack([np.zeros((2, 4)), [[1.0] * 4, [-1.0] * 4]], axis=-1)
    >>> figure = vanishing_figure(np.zeros((2, 4, 3)), logits, class_id=1, eps=1.0)
    >>> figure.axes[1].get_title()
    'worst case at eps = 1: 50.0 % or more is left'

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Figure 8.
    """
    eps = check_real("eps", eps, minimum=0.0)
    class_id = check_integer("class_id", class_id, minimum=0)
    picture, batch = image_and_logits(image, logits)
    found = where_found(batch, class_id)
    options: dict[str, Any] = {
        "lipschitz_constant": lipschitz_constant,
        "logit_tolerance": logit_tolerance,
    }
    certified = region_radius(
        batch, fraction=fraction, min_pixels=min_pixels, mask=found[None], **options
    )
    worst = worst_case_segmentation(batch, eps=eps, mask=found[None], **options)
    left = worst_case_vanishing(batch, class_id=class_id, eps=eps, **options)
    share = float(ops.convert_to_numpy(left)[0])
    figure, panels = picture_panels(2)
    show_found(panels[0], picture, found)
    _write_budgets(panels[0], certified, batch)
    name = class_called(class_id, class_name)
    panels[0].set_title(f"{name}: budget that changes {100 * fraction:g} % of it")
    still = found & (ops.convert_to_numpy(worst)[0] == class_id)
    colours = np.where(still[..., None], RIGHT, np.where(found[..., None], MISSED, WHITE))
    panels[1].imshow(colours)
    told = "nothing is found" if np.isnan(share) else f"{percent(share)} or more is left"
    panels[1].set_title(f"worst case at eps = {eps:g}: {told}")
    add_legend(figure, {"left": RIGHT, "vanished": MISSED})
    return figure


def _write_budgets(panel: Any, certified: Any, batch: Any) -> None:
    regions = ops.convert_to_numpy(certified.regions)[0]
    for region in list_regions(certified, batch)[0]:
        row, column = _inside(regions == region.number)
        panel.text(
            column, row, rounded_down(region.radius), ha="center", va="center", fontsize=9,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip


def _inside(region: Array) -> tuple[int, int]:
    """The pixel of a region that is farthest from its border."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), region.shape)
    return int(row), int(column)
