"""What a format asks of the layers while a model is traced for it."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TypeVar

Value = TypeVar("Value")


@contextlib.contextmanager
def setting(variable: ContextVar[Value], value: Value) -> Iterator[None]:
    """Inside of the `with` block the variable has the value; then again what it had before."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
