"""Stock Keras layers in our terms, while a model is traced; the model itself stays as it is.

Most of Keras converts to any format. What does not is replaced, a method at a time, by a function
of ours that computes the same with the same weights:

- the loop of every recurrent layer, by our `recurrence`, which each format lowers in its own way;
- `TimeDistributed`, by one call on all time steps;
- `TextVectorization` and `StringLookup`, by a program on bytes.

A replacement stands for a whole family: `RNN.inner_loop` is where all recurrent layers of Keras,
and those that a user writes as a cell, walk their steps.
"""

import contextlib
from collections.abc import Iterator

from export.keras_layers import recurrent, text, time_distributed
from export.keras_layers.precision import float32
from export.keras_layers.replacing import replaced

__all__ = ["expressed_in_our_terms", "float32"]

REPLACEMENTS = (
    *recurrent.REPLACEMENTS,
    *time_distributed.REPLACEMENTS,
    *text.REPLACEMENTS,
)


@contextlib.contextmanager
def expressed_in_our_terms() -> Iterator[None]:
    """Inside the `with` block stock layers compute by our functions, in every thread."""
    with replaced(REPLACEMENTS):
        yield
