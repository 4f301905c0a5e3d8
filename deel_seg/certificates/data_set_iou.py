r"""Certified IoU of a data set: one ratio over all its images, each under an attack of its own.

The worst IoU of a data set is $\min \sum_x (P_x - i_x) / \sum_x (P_x + j_x)$, a ratio whose parts
each image chooses within its own budget, so that it is no mean of per-image values. It is at least
$r$ exactly where

$$F(r) = \sum_x \min_{i, j} \big( P_x - i - r (P_x + j) \big) \ge 0,$$

and F is a sum over images. Kept on a grid of ratios, it is all a pass over the data has to carry:
batches and replicas merge by adding. F is concave and falls with r, so the chord between two
points of the grid lies below it, and where the chord crosses zero, F is still at least zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype, compiled, mapped, taken
from deel_seg.certificates.class_groups import Groups
from deel_seg.certificates.class_iou_bound import least_surplus
from deel_seg.certificates.class_iou_tables import IouTables, Lines, iou_tables
from deel_seg.certificates.class_items import ClassItems, class_items
from deel_seg.certificates.class_map import map_classes
from deel_seg.certificates.costs import capacity
from deel_seg.certificates.every_class import every_class_items
from deel_seg.certificates.exact_sum import carried, from_limbs_below, to_limbs
from deel_seg.certificates.rounding import lowered, unit_roundoff

Tensor = Any

GRID = 64  # Intervals of the grid of ratios.
_MERGED = 4  # Bins of the tables taken together, for small images a fourth of the work.


class Surpluses(NamedTuple):
    """What a data set adds up to; `data_set_iou_sums.added` takes the parts together."""

    limbs: Tensor  # (3, classes, budgets, GRID + 1) int32: F on the grid
    labelled: Tensor  # (classes,) int32: images with a pixel of the class
    bad: Tensor  # () int32: images that could not be read


def batch_surpluses(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_ids: Tensor,
    eps: Tensor,
    weights: Tensor,
    *,
    p: float,
    num_classes: int,
    ignore_class: int | None,
    class_groups: Groups | None = None,
) -> Surpluses:
    """Lower-bounds F for every class and budget, summed over a batch.

    Args:
        logits: `(batch, H, W, num_classes)`.
        labels: `(batch, H, W)`, integers.
        mask: `(batch, H, W)` bool, or `None`.
        lipschitz_constant: Scalar.
        logit_tolerance: Scalar.
        class_ids: `(classes,)` int32.
        eps: `(budgets,)`.
        weights: `(batch,)`, between 0 and 1; an image of weight 0 does not count.
        p: Norm order, 1 or 2.
        num_classes: Size of the last axis of the logits.
        ignore_class: Label of the pixels left out.
        class_groups: Groups of classes; each class then stands for its group.
    """
    wide = accumulation_dtype()
    batch, budgets = ops.shape(logits)[0], ops.shape(eps)[0]
    shape = (batch, budgets, GRID + 1)
    ratios = ops.cast(ops.arange(GRID + 1), wide) * (1 / GRID)
    ratios = ops.reshape(ops.broadcast_to(ratios, shape), (batch, -1))
    capacities = capacity(eps, lipschitz_constant, p, num_classes)[None, :, None]
    capacities = ops.reshape(ops.broadcast_to(capacities, shape), (batch, -1))
    weights = ops.cast(weights, wide)
    counts = weights > 0

    options: dict[str, Any] = {
        "p": p,
        "num_classes": num_classes,
        "ignore_class": ignore_class,
    }
    if class_groups is not None:
        # No few logits hold what all groups need: each has passes of its own.
        options["class_groups"] = class_groups

    # One image at a time, for sums of floats to come out the same whatever the batch.
    def lines_of_image(image: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        tables = iou_tables(ClassItems(*(field[None] for field in image)), p, _MERGED)
        return tuple(line[0] for lines in (tables.lost, tables.added) for line in lines)

    def sums_of(items: ClassItems) -> tuple[Tensor, ...]:
        lines = mapped(lines_of_image, tuple(items))
        tables = IouTables(
            Lines(*lines[:2]), Lines(*lines[2:]), ops.cast(items.num_positives, wide), p, _MERGED
        )
        surplus = least_surplus(tables, ratios, capacities) * weights[:, None]
        limbs = ops.moveaxis(to_limbs(surplus - ops.abs(surplus) * (4 * unit_roundoff())), 0, 1)
        counted = ops.logical_and(counts, items.valid)
        limbs = carried(ops.sum(ops.where(counted[:, None, None], limbs, 0), axis=0))
        labelled = ops.logical_and(counts, items.num_positives > 0)
        bad = ops.logical_and(counts, ops.logical_not(items.valid))
        return limbs, *(ops.sum(ops.cast(flags, "int32")) for flags in (labelled, bad))

    if num_classes == 1 or class_ids.shape[0] == 1 or class_groups is not None:

        def of_class(class_id: Tensor) -> tuple[Tensor, ...]:
            return sums_of(class_items(logits, labels, mask, class_id, logit_tolerance, **options))

        limbs, labelled, bad = mapped(of_class, class_ids)
    else:
        items_of = every_class_items(logits, labels, mask, logit_tolerance, **options)
        limbs, labelled, bad = map_classes(
            lambda class_id, own: sums_of(items_of(class_id, own)), logits, class_ids
        )
    limbs = ops.reshape(ops.transpose(limbs, (1, 0, 2)), (3, -1, budgets, GRID + 1))
    # Comparisons with NaN are false, so a NaN anywhere is caught here.
    right = [lipschitz_constant > 0, logit_tolerance >= 0, ops.all(eps >= 0)]
    right += [ops.all(ops.logical_and(weights >= 0, weights <= 1))]
    wrong = 1 - ops.cast(ops.all(ops.stack(right)), "int32")
    return Surpluses(limbs, labelled, ops.max(bad) + wrong)


compiled_batch_surpluses = compiled(
    batch_surpluses, static_argnames=("p", "num_classes", "ignore_class", "class_groups")
)


def worst_data_set_iou(limbs: Tensor) -> Tensor:
    """Lower-bounds the IoU from F on the grid, `(classes, budgets)`, accumulation dtype.

    The last point of the grid where F is not negative holds whatever lies before it, and so does
    the crossing of the chord to the next.
    """
    surplus = from_limbs_below(limbs)
    points = ops.arange(GRID + 1, dtype="int32")
    last = ops.max(ops.where(surplus >= 0, points, -1), axis=-1)
    index = ops.clip(last, 0, GRID - 1)[..., None]
    here = taken(surplus, index)[..., 0]
    following = taken(surplus, index + 1)[..., 0]
    crossing = lowered(ops.maximum(here, 0.0) / ops.maximum(here - following, 1e-30), 12)
    ratio = (ops.cast(index[..., 0], surplus.dtype) + ops.clip(crossing, 0.0, 1.0)) * (1 / GRID)
    ratio = ops.where(last < 0, 0.0, ops.where(last >= GRID, 1.0, lowered(ratio, 4)))
    return ratio
