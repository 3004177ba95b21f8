"""Compiles a function of a model for the Keras backend."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

JIT_CALLS = 8  # So many calls of a search in a row are worth the time that XLA takes to compile.


def compile_function(
    model: keras.layers.Layer,
    function: Callable[..., Any],
    jit: bool = True,
    dynamic_shapes: bool = False,
    signature: Sequence[tuple[int, str]] | None = None,
) -> Callable[..., Any]:
    """Compiles a function once for each shape and dtype of its arguments.

    Args:
        model: The layer whose weights the function reads. They may change between calls.
        function: A pure function of tensors, which are given by position.
        jit: Whether XLA compiles it. With TensorFlow a plain graph is ready in a third of the
            time and takes twice as long to run: `jit=False` pays where the first call matters
            more than those after it. JAX always compiles.
        dynamic_shapes: Without `jit`: from the second shape on, one graph serves all shapes. The
            function must not need to know them.
        signature: Without `jit`: rank and dtype of each argument. One graph serves all shapes, from
            the first on.

    Returns:
        The compiled function.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not jit:
            specs = signature and [tf.TensorSpec([None] * rank, dtype) for rank, dtype in signature]
            return tf.function(
                function,
                input_signature=specs,
                autograph=False,
                reduce_retracing=dynamic_shapes,
            )
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
