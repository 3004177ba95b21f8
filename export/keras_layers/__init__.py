"""Stock Keras layers in our terms while a model is traced; the model itself stays as it is.

Most of Keras converts to any format. What does not is patched, a method at a time, with a function
of ours that computes the same with the same weights:

- the loop of every recurrent layer, by our `recurrence`, which each format lowers in its own way;
- `TimeDistributed`, by one call on all time steps;
- `TextVectorization` and `StringLookup`, by a program on bytes.

A patch serves a whole family: in `RNN.inner_loop` all recurrent layers of Keras, and those that a
user writes as a cell, walk their steps.
"""

import contextlib
from collections.abc import Iterator

from export.keras_layers import recurrent, text, time_distributed
from export.keras_layers.patching import patch_attributes
from export.keras_layers.precision import float32

__all__ = ["float32", "patched_keras_layers"]

PATCHES = (
    *recurrent.PATCHES,
    *time_distributed.PATCHES,
    *text.PATCHES,
)


@contextlib.contextmanager
def patched_keras_layers() -> Iterator[None]:
    """Makes stock layers compute by our functions inside the `with` block, in every thread."""
    with patch_attributes(PATCHES):
        yield
