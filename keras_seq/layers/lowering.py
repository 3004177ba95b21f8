"""How layers are traced for a runtime.

A layer says what it computes. Where a runtime has an operator of its own for that, or wants it in
another form, its format hands in rules while a model is traced, as a compiler lowers primitives:

    with use_lowering(Lowering(recurrence=rule)):
        trace(model)

No layer knows which format it is traced for.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lowering:
    """The rules that layers are traced by.

    Attributes:
        recurrence: Function like `recurrence.run_loop`, which is the default.
        update_cache: Function like `cache.select_update`, which is the default.
        growing_caches: Let the caches of loops grow from turn to turn, for runtimes whose tensors
            may change their size.
        fuse_projections: Compute several small products as one, for runtimes in which every
            operator takes time of its own. It costs more than it saves where weights are variables,
            or where a compiler fuses operators.
        scan: Function like `scan.scan`, which is the default.
        rfft: Function of a tensor `(…, n)` and n that returns real and imaginary parts
            `(…, n // 2 + 1)` of its Fourier transform; None for an n that the runtime cannot do.
        lacks: Names of the functions of `keras.ops` that the runtime has no operators for, to be
            made of others.
    """

    recurrence: Callable[..., Any] | None = None
    update_cache: Callable[..., Any] | None = None
    growing_caches: bool = False
    fuse_projections: bool = False
    scan: Callable[..., Any] | None = None
    rfft: Callable[..., Any] | None = None
    lacks: Collection[str] = ()


DEFAULT = Lowering()
_lowering: ContextVar[Lowering] = ContextVar("keras_seq_lowering", default=DEFAULT)


def get_lowering() -> Lowering:
    """Returns the rules that hold here."""
    return _lowering.get()


@contextlib.contextmanager
def use_lowering(lowering: Lowering) -> Iterator[None]:
    """Makes layers use the rules of `lowering` inside the `with` block."""
    token = _lowering.set(lowering)
    try:
        yield
    finally:
        _lowering.reset(token)
