"""Categories in comparisons: what `CategoryEncoding`, `Discretization` and their functions do."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import tree
from keras.src.utils import tf_utils

from export.keras_layers.patching import get_backend_function, replace_function
from keras_seq.typing import Tensor

_digitize = get_backend_function("numpy", "digitize")


def refuse_bincount(*args: Any, **kwargs: Any) -> Tensor:
    """As Keras's way around `encode_categorical_inputs` by a bincount, which few runtimes have.

    Keras goes its general way, a one-hot encoding and a sum, after this error.
    """
    raise ValueError("No bincount.")


def digitize(x: Any, bins: Sequence[float]) -> Tensor:
    """As `keras.ops.digitize`: the number of boundaries that a value has reached."""
    x = tf.convert_to_tensor(x)
    bounds = tf.constant([float(b) for b in tree.flatten(list(bins))], tf.float32)
    reached = tf.cast(x, tf.float32)[..., None] >= bounds
    return tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)


RULES = (
    (tf_utils, "tf_encode_categorical_inputs", refuse_bincount),
    *replace_function("numpy", "digitize", digitize),
)
