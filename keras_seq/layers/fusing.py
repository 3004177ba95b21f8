"""Whether a model is traced for a runtime in which every operator takes its time.

There it is worth while to put constants together so that one operator does the work of several,
which would cost more than it saves where weights are variables, or a compiler joins the operators:

    with fusing():
        trace(model)
"""

from contextlib import AbstractContextManager
from contextvars import ContextVar

from keras_seq.layers.tracing import setting

_fuses: ContextVar[bool] = ContextVar("keras_seq_fuses", default=False)


def fusing() -> AbstractContextManager[None]:
    """Inside, layers make do with few operators."""
    return setting(_fuses, True)


def fuses() -> bool:
    """Whether this is inside of `fusing`."""
    return _fuses.get()
