"""Methods of classes replaced for a while."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

Replacement = tuple[type, str, Any]


@contextlib.contextmanager
def replaced(replacements: Sequence[Replacement]) -> Iterator[None]:
    """Inside the `with` block each `(class, name, value)` holds; after it what held before."""
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in replacements]
    try:
        for owner, name, value in replacements:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
