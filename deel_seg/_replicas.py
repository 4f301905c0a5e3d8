"""What a step has to know of the replicas of a `tf.distribute` strategy, and of its workers.

Under `keras.distribution` on JAX a batch is one global array, whatever devices hold its parts:
there is one replica, and nothing to sum.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._backend import IS_TENSORFLOW
from deel_seg._checks import received

if IS_TENSORFLOW:
    import tensorflow as tf

Tensor = Any


def num_replicas() -> int:
    """Replicas that run this step together; 1 outside of one."""
    if not IS_TENSORFLOW:
        return 1
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def replica_sum(tensor: Tensor) -> Tensor:
    """Sum over the replicas that run this step; the tensor itself elsewhere."""
    if num_replicas() == 1:
        return tensor
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def with_shared_value(tensor: Tensor) -> Tensor:
    """A tensor with its own gradient, and with the value of the mean over the replicas."""
    if num_replicas() == 1:
        return tensor
    own = ops.stop_gradient(tensor)
    return tensor + (replica_sum(own) / num_replicas() - own)


def check_replicated(variable: keras.Variable, owner: str) -> None:
    """Raises where replicas would all write to one variable, and undo what the others wrote.

    Args:
        variable: A variable that a step assigns.
        owner: Whose it is, for the message: "Metric `crpa`".
    """
    if num_replicas() > 1 and not isinstance(variable.value, tf.distribute.DistributedValues):
        raise ValueError(
            f"{owner} must be made under the strategy that the model was made under: "
            f"`with strategy.scope():`. {received(replicas=num_replicas())}"
        )


def in_cluster(model: Any) -> bool:
    """Whether a model is one of several workers'."""
    resolver = getattr(getattr(model, "distribute_strategy", None), "cluster_resolver", None)
    return resolver is not None and bool(resolver.cluster_spec().as_dict())


def is_chief(model: Any) -> bool:
    """Whether this process writes the files that all workers would write alike."""
    if not in_cluster(model):
        return True
    resolver = model.distribute_strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_type == "worker" and resolver.task_id == 0
