"""Random inputs that a `tf_keras` model takes."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

ROWS = 4
# Steps tried for an open dimension: a model of convolutions and pools needs many.
LENGTHS = (7, 40, 200, 1000)
IDS = 2  # Integers are drawn below it where the model does not say what they are.
WORDS = ["the", "a", "good", "film", "unknown", ""]


def draw_inputs(model: Any, seed: int = 0) -> Any:
    """Returns inputs of a `tf_keras` model in its own structure.

    Ids are in the vocabulary of their embedding, texts are of the words of the vocabulary, other
    numbers are normally distributed. The first row is whole, the second is padded at its end, the
    third at its beginning, the fourth has gaps.

    Raises:
        Exception: Whatever the model raises for inputs of every length that is tried.
    """
    import tensorflow as tf

    structure = model._nested_inputs
    tensors = tf.nest.flatten(structure)
    rows = next((tensor.shape[0] for tensor in tensors if tensor.shape[0]), ROWS)
    is_open = any(None in tensor.shape[1:] for tensor in tensors)
    failure: Exception | None = None
    for steps in LENGTHS if is_open else LENGTHS[:1]:
        shapes = [[rows, *(steps if n is None else n for n in t.shape[1:])] for t in tensors]
        for may_compute in (True, False):
            try:
                sizes = _find_vocabularies(model, structure, tensors, shapes, may_compute)
                generator = np.random.default_rng(seed)
                drawn = [
                    _draw(model, tensor, shape, size, generator)
                    for tensor, shape, size in zip(tensors, shapes, sizes, strict=True)
                ]
                inputs = tf.nest.pack_sequence_as(structure, drawn)
                model(inputs, training=False)
                reset_states(model)
            except Exception as error:
                failure = failure or error
                continue
            if not (is_open and _leaves_nothing(model, inputs)):
                return inputs
    raise failure or ValueError(f"No step is left of {LENGTHS[-1]}.")


def _leaves_nothing(model: Any, inputs: Any) -> bool:
    """Returns whether a convolution or a pool has too few steps, for which it answers anything."""
    import tensorflow as tf
    import tf_keras

    shortens = ("kernel_size", "pool_size", "cropping")
    nodes = [
        node
        for nodes in model._nodes_by_depth.values()
        for node in nodes
        if any(hasattr(node.layer, name) for name in shortens) and len(node.keras_inputs) == 1
    ]
    if not nodes:
        return False
    given = tf_keras.Model(model._nested_inputs, [node.keras_inputs[0] for node in nodes])
    answers = tf.nest.flatten(given(inputs, training=False))
    reset_states(model)
    try:
        shapes = [
            node.layer.compute_output_shape(answer.shape)
            for node, answer in zip(nodes, answers, strict=True)
        ]
    except ValueError:  # Less than no step.
        return True
    return any(size is not None and size < 1 for shape in shapes for size in shape)


def reset_states(model: Any) -> None:
    """Makes stateful layers of a `tf_keras` model begin with zeros again."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
            with contextlib.suppress(AttributeError):  # a layer that has not been called
                layer.reset_states()


def _find_vocabularies(
    model: Any, structure: Any, tensors: list[Any], shapes: list[list[int]], may_compute: bool
) -> list[int | None]:
    """Returns the number of ids that each input may have; None where it is not ids.

    Numbers below 1 are ids of 0 to every embedding, which shows whose numbers it was given. Where
    a model computes ids, it does not: without `may_compute` all its numbers are taken for ids, and
    so small that the model can add one.
    """
    import tensorflow as tf

    generator = np.random.default_rng(1)
    probes = [
        generator.uniform(0, 1, shape).astype("float32")
        if tensor.dtype.is_floating
        else _draw(model, tensor, shape, 1, generator)
        for tensor, shape in zip(tensors, shapes, strict=True)
    ]
    with _watch_embeddings() as seen:
        model(tf.nest.pack_sequence_as(structure, [tf.constant(p) for p in probes]), training=False)
    reset_states(model)
    smallest = min((size for size, _ in seen), default=IDS)
    sizes: list[int | None] = []
    for tensor, probe in zip(tensors, probes, strict=True):
        if tensor.dtype.is_integer:
            sizes.append(smallest)
            continue
        values = set(probe.flatten().tolist()) if tensor.dtype.is_floating else set()
        fits = [size for size, given in seen if values & given]
        sizes.append(min(fits) if fits else None if may_compute else max(1, smallest - 1))
    return sizes


@contextlib.contextmanager
def _watch_embeddings() -> Iterator[list[tuple[int, set[float]]]]:
    """Yields a list that gets the size of each embedding that is called, and its inputs."""
    import tf_keras

    seen: list[tuple[int, set[float]]] = []
    before = tf_keras.layers.Embedding.call

    def call(self: Any, inputs: Any) -> Any:
        if hasattr(inputs, "numpy"):
            seen.append((int(self.input_dim), set(np.asarray(inputs).flatten().tolist())))
        return before(self, inputs)

    tf_keras.layers.Embedding.call = call
    try:
        yield seen
    finally:
        tf_keras.layers.Embedding.call = before


def _draw(model: Any, tensor: Any, shape: list[int], vocabulary: int | None, generator: Any) -> Any:
    import tensorflow as tf

    if tensor.dtype == tf.string:
        return tf.constant(_draw_texts(model, shape, generator))
    if tensor.dtype == tf.bool:
        return tf.constant(generator.integers(0, 2, shape).astype(bool))
    if vocabulary is None:
        return tf.constant(_pad(model, generator.normal(size=shape)), tensor.dtype)
    ids = generator.integers(min(1, vocabulary - 1), vocabulary, shape)
    return tf.constant(_zero_steps(ids, 0), tensor.dtype)


def _draw_texts(model: Any, shape: list[int], generator: Any) -> np.ndarray:
    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "get_vocabulary")]
    words = [str(word) for layer in layers for word in layer.get_vocabulary()[:50]] + WORDS
    whole = any("TextVectorization" in type(layer).__name__ for layer in layers)
    texts = [
        " ".join(generator.choice(words, generator.integers(1, 9) if whole else 1))
        for _ in range(int(np.prod(shape)))
    ]
    return np.array(texts, object).reshape(shape)


def _pad(model: Any, array: np.ndarray) -> np.ndarray:
    """Returns an array with padding, where the model has a layer that masks it."""
    values = [layer.mask_value for layer in model._flatten_layers() if hasattr(layer, "mask_value")]
    return _zero_steps(array, values[0]) if values and array.ndim > 2 else array


def _zero_steps(array: np.ndarray, value: float) -> np.ndarray:
    """Returns an array `(B, T, …)` with padding at the end, the beginning and in gaps."""
    if array.ndim < 2 or array.shape[1] < 3:
        return array
    array = array.copy()
    third = array.shape[1] // 3
    if len(array) > 1:
        array[1, -third:] = value
    if len(array) > 2:
        array[2, :third] = value
    if len(array) > 3:
        array[3, 1::3] = value
    return array
