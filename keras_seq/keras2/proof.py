"""Compares what a Keras 2 model and the Keras 3 model made of it answer."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_seq.errors import UserError
from keras_seq.keras2.draws import draw_inputs

TOLERANCE = 1e-4  # of the largest answer, and at least of 1


def prove(old: Any, new: Any) -> float:
    """Asks a `tf_keras` model and a Keras 3 model the same inputs; returns the largest difference.

    Raises:
        UserError: If they answer differently, or the Keras 2 model does not answer.
    """
    import tensorflow as tf

    inputs = draw_inputs(old)
    expected = tf.nest.flatten(_ask(old, inputs))
    with _reset_states(new):
        answers = tf.nest.flatten(_ask(new, inputs))
    largest = 0.0
    for name, before, after in zip(old.output_names, expected, answers, strict=True):
        before, after = np.asarray(before), np.asarray(after)
        gap = measure_difference(before, after)
        if not gap <= TOLERANCE:
            raise UserError(
                f"The model {old.name!r} of Keras 2 was not converted: its output {name!r} of the "
                f"shape {list(before.shape)} differs by {gap:.2g} from that of the Keras 3 model "
                f"of the shape {list(after.shape)}. Please report this with the model's "
                "configuration."
            )
        largest = max(largest, gap)
    return largest


def measure_difference(expected: np.ndarray, answer: np.ndarray) -> float:
    """Returns the largest difference, as a share of the largest of `expected` if that exceeds 1."""
    if expected.shape != answer.shape:
        return float("inf")
    if expected.dtype.kind in "OSU":
        return 0.0 if (expected == answer).all() else float("inf")
    if not expected.size:
        return 0.0
    expected, answer = expected.astype("float64"), answer.astype("float64")
    if not np.array_equal(np.isnan(expected), np.isnan(answer)):
        return float("inf")
    scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
    return float(np.nanmax(np.abs(expected - answer), initial=0.0)) / scale


def _ask(model: Any, inputs: Any) -> Any:
    return model(inputs, training=False)


@contextlib.contextmanager
def _reset_states(model: Any) -> Iterator[None]:
    """After the block stateful layers begin with zeros again."""
    yield
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
            layer.reset_states()
