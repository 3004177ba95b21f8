"""Whether a model is traced for a runtime in which every operator takes its time.

There it is worth while to put constants together so that one operator does the work of several,
which would cost more than it saves where weights are variables, or a compiler joins the operators:

    with fusing():
        trace(model)
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_fuses: ContextVar[bool] = ContextVar("keras_seq_fuses", default=False)


@contextlib.contextmanager
def fusing() -> Iterator[None]:
    """Inside, layers make do with few operators."""
    token = _fuses.set(True)
    try:
        yield
    finally:
        _fuses.reset(token)


def fuses() -> bool:
    """Whether this is inside of `fusing`."""
    return _fuses.get()
