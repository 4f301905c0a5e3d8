"""A certified segmentation at one glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deel_seg._checks import received
from deel_seg.data.dataset_info import distinct_colours
from deel_seg.visualize.canvas import new_figure, percent, picture_of
from deel_seg.visualize.worst_case import CertifiedSegmentation, certify_segmentation

_IGNORED = (0.8, 0.8, 0.8)
_NOT_CERTIFIED = (1.0, 1.0, 1.0)
_PALE = 0.55  # Share of white in the pixels that the worst case leaves alone.

_WITH_LABELS = [["image", "labels", "prediction"], ["radius", "alone", "worst"]]
_WITHOUT_LABELS = [
    ["image", "image", "prediction", "prediction", "radius", "radius"],
    [".", "alone", "alone", "worst", "worst", "."],
]


def certified_figure(
    image: Any,
    logits: Any,
    labels: Any = None,
    *,
    eps: float,
    lipschitz_constant: float = 1.0,
    class_names: Sequence[str] | None = None,
    palette: Sequence[tuple[int, int, int]] | None = None,
    ignore_class: int | None = None,
    logit_tolerance: float = 0.0,
    title: str | None = None,
) -> Any:
    """Draws one image, its segmentation, and what is certified of it.

    Panels: the image; the labels, if given; the prediction; the budget that flips each pixel
    alone; the pixels that a budget of `eps` spent on them alone does not flip; and the worst case
    that a budget of `eps` shared by all pixels can buy, where the pixels lost are in full colour.

    Args:
        image: `(height, width)`, `(height, width, 1)` or `(height, width, 3)`, in `[0, 1]`.
        logits: `(height, width, classes)`, see `certify_segmentation`.
        labels: `(height, width)`, integer class ids, or `None`.
        eps: Budget `>= 0`, an l2 norm in the units of the model input.
        lipschitz_constant: Proved upper bound of the map from image to logits.
        class_names: One name per class; numbers if not given.
        palette: One 8-bit `(red, green, blue)` per class; by default Okabe and Ito's colours,
            told apart by every common kind of colour vision, for up to eight classes.
        ignore_class: Label of the pixels left out, shown in grey.
        logit_tolerance: How far each logit may be from its exact value.
        title: Title of the figure.

    Returns:
        A `matplotlib.figure.Figure`, not tied to pyplot: `figure.savefig("certified.png")`.

    Raises:
        ValueError: If an argument has the wrong shape or value, or no pixel counts.
        ImportError: If matplotlib is not installed.

    Example:

    >>> import numpy as np
    >>> from deel_seg.visualize import certified_figure
    >>> logits = np.random.default_rng(0).normal(size=(8, 8, 3))
    >>> figure = certified_figure(np.zeros((8, 8, 3)), logits, eps=0.5)
    >>> len(figure.axes)  # five panels and the colour bar
    6
    """
    result = certify_segmentation(
        logits,
        labels,
        eps=eps,
        lipschitz_constant=lipschitz_constant,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    colours = _colours(palette, class_names, max(ops.shape(logits)[-1], 2))
    picture = picture_of(image, result.predicted.shape)
    truth = None if labels is None else np.asarray(ops.convert_to_numpy(labels))
    layout = _WITHOUT_LABELS if truth is None else _WITH_LABELS
    figure = new_figure(figsize=(10.5, 7.5))
    panels: dict[str, Any] = figure.subplot_mosaic(layout)
    for panel in panels.values():
        panel.set_axis_off()
    panels["image"].imshow(picture, cmap="gray", vmin=0.0, vmax=1.0)
    panels["image"].set_title("image")
    if truth is not None:
        _show_classes(panels["labels"], truth, colours, result.kept, "labels")
    _draw_prediction(panels["prediction"], result, truth, colours)
    _draw_radius(figure, panels["radius"], result, eps)
    _draw_alone(panels["alone"], result, colours, eps)
    _draw_worst_case(panels["worst"], result, truth, colours, eps)
    _draw_legend(figure, result, truth, colours, class_names)
    if title:
        figure.suptitle(title, fontsize="x-large")
    return figure


def _colours(palette: Any, class_names: Any, num_classes: int) -> NDArray[np.float64]:
    """Colours of the classes, `(classes, 3)` in `[0, 1]`."""
    chosen = distinct_colours(num_classes) if palette is None else palette
    colours = np.asarray(chosen, np.float64)
    if colours.ndim != 2 or colours.shape[0] < num_classes or colours.shape[1] != 3:
        raise ValueError(
            f"`palette` must hold a colour of three numbers for each of the {num_classes} "
            f"classes. {received(palette=palette)}"
        )
    if class_names is not None and len(class_names) < num_classes:
        raise ValueError(
            f"`class_names` must hold one name for each of the {num_classes} classes. "
            f"{received(class_names=class_names)}"
        )
    return colours / 255.0


def _show_classes(
    panel: Any,
    classes: NDArray[Any],
    colours: NDArray[np.float64],
    kept: NDArray[np.bool_],
    title: str,
) -> None:
    panel.imshow(np.where(kept[..., None], colours[np.where(kept, classes, 0)], _IGNORED))
    panel.set_title(title)


def _draw_prediction(
    panel: Any, result: CertifiedSegmentation, truth: Any, colours: NDArray[np.float64]
) -> None:
    title = "prediction"
    if truth is not None:
        correct = (result.predicted == truth)[result.kept].mean()
        title += f"\naccuracy {percent(float(correct))}"
    everywhere = np.ones_like(result.kept)
    _show_classes(panel, result.predicted, colours, everywhere, title)


def _draw_radius(figure: Any, panel: Any, result: CertifiedSegmentation, eps: float) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    # A few pixels far inside an object would leave no contrast for the rest.
    top = max(float(np.nanquantile(result.radius, 0.99)), eps, 1e-6)
    scale = colormaps["viridis"].with_extremes(bad=_IGNORED)
    shown = panel.imshow(result.radius, cmap=scale, vmin=0.0, vmax=top)
    panel.set_title("budget that flips each pixel alone")
    bar = figure.colorbar(
        shown, ax=panel, orientation="horizontal", extend="max", shrink=0.9, pad=0.02,
        ticks=MaxNLocator(5),
    )  # fmt: skip
    bar.set_label(f"l2 norm; the line is eps = {eps:g}")
    bar.ax.axvline(eps, color="white", linewidth=4.0)
    bar.ax.axvline(eps, color="black", linewidth=1.5)


def _draw_alone(
    panel: Any, result: CertifiedSegmentation, colours: NDArray[np.float64], eps: float
) -> None:
    # At a radius of exactly eps a pixel ties, and a tie is lost.
    certified = result.kept & (result.radius > eps)
    shown = np.where(certified[..., None], colours[result.predicted], _NOT_CERTIFIED)
    panel.imshow(np.where(result.kept[..., None], shown, _IGNORED))
    share = float(certified.sum() / result.kept.sum())
    panel.set_title(f"certified one by one\n{percent(share)} at eps = {eps:g}")


def _draw_worst_case(
    panel: Any, result: CertifiedSegmentation, truth: Any, colours: NDArray[np.float64], eps: float
) -> None:
    full = colours[result.worst]
    shown = np.where(result.lost[..., None], full, _PALE + (1.0 - _PALE) * full)
    panel.imshow(np.where(result.kept[..., None], shown, _IGNORED))
    kind = "unchanged" if truth is None else "accuracy"
    panel.set_title(
        "worst case, lost pixels in full colour\n"
        f"{kind} ≥ {percent(result.bound)} at eps = {eps:g}, shared"
    )


def _draw_legend(
    figure: Any,
    result: CertifiedSegmentation,
    truth: Any,
    colours: NDArray[np.float64],
    class_names: Sequence[str] | None,
) -> None:
    from matplotlib.patches import Patch

    seen = set(np.unique(result.predicted)) | set(np.unique(result.worst))
    if truth is not None:
        seen |= set(np.unique(truth[result.kept]))
    entries = [
        Patch(facecolor=colours[index], label=class_names[index] if class_names else str(index))
        for index in sorted(seen)
    ]
    entries.append(Patch(facecolor=_NOT_CERTIFIED, edgecolor="black", label="not certified"))
    if not result.kept.all():
        entries.append(Patch(facecolor=_IGNORED, label="ignored"))
    figure.legend(
        handles=entries, loc="outside lower center", ncols=min(len(entries), 8), frameon=False
    )
