"""The bound of a network that follows from its design, whatever the weights are."""

from __future__ import annotations

import keras

from deel_seg.lipschitz.deel_lip_rules import deel_lip_bound
from deel_seg.lipschitz.graph_walk import Rules, walk
from deel_seg.lipschitz.keras_rules import keras_bound

BY_DESIGN = Rules(
    own=lambda layer, incoming: layer.lipschitz_bound(*incoming),
    others=(keras_bound, deel_lip_bound),
)


def lipschitz_bound(model: keras.Model) -> float:
    """Bound of the l2 Lipschitz constant of a functional model at inference, from its layers.

    Each tensor of the graph gets the bound of the map from the model's input to it: a layer
    multiplies by its own, an addition sums those of its branches, a concatenation takes the root
    of the sum of squares. A branch used twice counts twice. Nested functional models are walked
    too. Several inputs are taken together, as one vector; so are several outputs.

    Layers known: those of `deel_seg.layers`; of deel-lip, the ones that work on Keras 3; of Keras,
    the ones that are listed in `keras_rules`.

    Args:
        model: Functional (or sequential, built) Keras model.

    Returns:
        The bound, as a float.

    Raises:
        UnknownLipschitzBound: If a layer has no known bound; the message names it.
        ValueError: If the model is no functional graph.

    Example:

    >>> import keras
    >>> from deel_seg.layers import OrthogonalConv2D
    >>> from deel_seg.lipschitz import lipschitz_bound
    >>> x = keras.Input((None, None, 3))
    >>> y = OrthogonalConv2D(8, 3)(x)
    >>> lipschitz_bound(keras.Model(x, keras.layers.Add()([y, y])))
    2.0
    """
    return walk(model, BY_DESIGN)
