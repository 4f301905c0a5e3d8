"""What is found of a class, what is missed, and what a budget can make a network miss."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from deel_seg._checks import check_integer, check_real
from deel_seg.certificates import worst_case_fnr, worst_case_segmentation
from deel_seg.visualize.canvas import (
    ALARM,
    MISSED,
    RIGHT,
    add_legend,
    class_called,
    image_and_logits,
    one_map,
    picture_panels,
    rounded_up,
    show_found,
    show_right_and_wrong,
    where_found,
)


def missed_figure(
    image: Any,
    logits: Any,
    labels: Any,
    *,
    class_id: int,
    eps: float,
    class_name: str | None = None,
    lipschitz_constant: float = 1.0,
    logit_tolerance: float = 0.0,
) -> Any:
    """Draws the most that a budget can make a network miss of a class, as the paper's Figure 7.

    Panels: the image, dark where the class is not found; what is right, a false alarm, and missed;
    and the same in the worst case of `eps`, with the certified false negative rate, rounded up.

    Args:
        image: `(height, width)`, `(height, width, 1)` or `(height, width, 3)`, in `[0, 1]`.
        logits: `(height, width, classes)`, floating point.
        labels: `(height, width)`, integer class ids.
        class_id: The class that must not be missed.
        eps: Budget `>= 0`, an l2 norm in the units of the model input.
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
    >>> from deel_seg.visualize import missed_figure
    >>> logits = np.stack([np.zeros((2, 4)), [[1.0] * 4, [-1.0] * 4]], axis=-1)
    >>> labels = np.ones((2, 4), int)
    >>> figure = missed_figure(np.zeros((2, 4, 3)), logits, labels, class_id=1, eps=1.0)
    >>> [panel.get_title() for panel in figure.axes[1:]]
    ['FNR 0.50', 'worst case at eps = 1: FNR ≤ 0.75']

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Figure 7, Eq. 15-18.
    """
    eps = check_real("eps", eps, minimum=0.0)
    class_id = check_integer("class_id", class_id, minimum=0)
    picture, batch = image_and_logits(image, logits)
    truth = one_map("labels", labels, picture.shape[:2])
    labelled = truth == class_id
    options: dict[str, Any] = {
        "lipschitz_constant": lipschitz_constant,
        "logit_tolerance": logit_tolerance,
    }
    found = where_found(batch, class_id)
    worst = worst_case_segmentation(batch, truth[None], eps=eps, mask=labelled[None], **options)
    certified = worst_case_fnr(batch, truth[None], positive_class=class_id, eps=eps, **options)
    bound = float(ops.convert_to_numpy(certified)[0])
    missed = float(np.mean(~found[labelled])) if labelled.any() else float("nan")
    figure, panels = picture_panels(3)
    show_found(panels[0], picture, found)
    panels[0].set_title(f"found as {class_called(class_id, class_name)}")
    show_right_and_wrong(panels[1], found, labelled)
    show_right_and_wrong(panels[2], ops.convert_to_numpy(worst)[0] == class_id, labelled)
    if np.isnan(bound):
        panels[1].set_title("nothing is labelled so")
    else:
        panels[1].set_title(f"FNR {missed:.2f}")
        panels[2].set_title(f"worst case at eps = {eps:g}: FNR ≤ {rounded_up(bound)}")
    add_legend(figure, {"right": RIGHT, "false alarm": ALARM, "missed": MISSED})
    return figure
