"""A function of a model as fast as its backend runs it."""

from collections.abc import Callable
from typing import Any

import keras


def compiled(
    model: keras.layers.Layer,
    function: Callable[..., Any],
    at_once: bool = False,
    any_size: bool = False,
) -> Callable[..., Any]:
    """`function`, compiled once for each shape and dtype of its arguments.

    Args:
        model: Whose weights it reads; they may change between calls.
        function: Of tensors, by position; it changes nothing.
        at_once: The first call matters more than those after it: with TensorFlow a graph, which
            takes a third of the time that XLA takes to compile and twice as long to run.
        any_size: With `at_once`, and where no shape needs to be known: from the second shape on
            the graph takes any.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if at_once:
            return tf.function(function, autograph=False, reduce_retracing=any_size)
        return tf.function(function, autograph=False, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        def stateless(weights: list[Any], *arguments: Any) -> Any:
            # As arguments: what a compiled function captures would stay as it was.
            with keras.StatelessScope(zip(model.variables, weights, strict=True)):
                return function(*arguments)

        jitted = jax.jit(stateless)
        return lambda *arguments: jitted([v.value for v in model.variables], *arguments)
    return function
