"""Attributes of Keras's classes changed for a while: the one place where that happens.

Keras has no hook for what a model computes while it is exported, and a patched class is the only
way that reaches every layer of every model. `keras.models.clone_model(clone_function=…)` does not:
it refuses subclassed models, and a layer that it keeps is recorded as used twice in the user's own
model, while a copied one has weights of its own. `Layer.dtype_policy` would have to be set on each
layer, and Keras lists the layers of a layer only privately; besides, it quantises.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras

Patch = tuple[type, str, Any]

# The base of StringLookup and IntegerLookup; it has no public name.
LOOKUP = keras.layers.StringLookup.__mro__[1]


@contextlib.contextmanager
def patch_attributes(patches: Sequence[Patch]) -> Iterator[None]:
    """Inside the `with` block each `(class, name, value)` holds; after it what held before."""
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in patches]
    try:
        for owner, name, value in patches:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
