"""Stock Keras layers in our terms while a model is traced; the model itself stays as it is.

Most of Keras converts to any format. What does not is patched with a function of ours that computes
the same with the same weights. A rule has a class of Keras or a module of its backend, the name of
an attribute, and what stands for it. The rules by subject:

- `recurrent`: the loop of every recurrent layer, by our `recurrence`, which each format lowers in
  its own way; no dropout masks;
- `time_distributed`: one call on all time steps;
- `vectorization` and `lookups`: `TextVectorization`, `StringLookup` and `IntegerLookup`, by a
  program on bytes and comparisons;
- `categories`: encodings of categories and bins, by comparisons;
- `convolution`: convolutions in groups and with gaps;
- `ordering`: the place of the largest and smallest value;
- `indexing`: new axes of an index;
- `products`: products and diagonals of tensors;
- `loops`: `keras.ops.scan`, `map` and `switch`, by the loop of our layers;
- `fourier` and `elementary`: functions that a runtime lacks, made of others;
- `quantized`: products of int8 numbers, in float32;
- `random_numbers`: seeds that no state counts;
- `scopes`: the names of layers, for messages.

A rule serves a whole family: in `RNN.inner_loop` all recurrent layers of Keras, and those that a
user writes as a cell, walk their steps; in a function of the backend all that call `keras.ops`.
"""

import contextlib
from collections.abc import Iterator

from export.keras_layers import (
    categories,
    convolution,
    elementary,
    fourier,
    indexing,
    lookups,
    loops,
    ordering,
    products,
    quantized,
    random_numbers,
    recurrent,
    scopes,
    time_distributed,
    vectorization,
)
from export.keras_layers.failures import plain_errors
from export.keras_layers.patching import patch_attributes
from export.keras_layers.precision import float32

__all__ = ["float32", "patched_keras_layers"]

RULES = tuple(
    rule
    for subject in (
        recurrent,
        time_distributed,
        vectorization,
        lookups,
        categories,
        convolution,
        ordering,
        indexing,
        products,
        quantized,
        loops,
        fourier,
        elementary,
        random_numbers,
        scopes,
    )
    for rule in subject.RULES
)


@contextlib.contextmanager
def patched_keras_layers() -> Iterator[None]:
    """Makes stock layers compute by our functions inside the `with` block, in every thread."""
    with patch_attributes(RULES), plain_errors():
        yield
