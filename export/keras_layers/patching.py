"""Attributes of Keras's classes and modules changed for a while: the one place where that happens.

Keras has no hook for what a model computes while it is exported, and a patched class or function is
the only way that reaches every layer of every model. `keras.models.clone_model(clone_function=…)`
does not: it refuses subclassed models, and a layer that it keeps is recorded as used twice in the
user's own model, while a copied one has weights of its own. `Layer.dtype_policy` would have to be
set on each layer, and Keras lists the layers of a layer only privately; besides, it quantises.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import keras

from keras_seq.layers.lowering import get_lowering

# A class or a module of Keras, the attribute, and what stands for it.
Rule = tuple[type | ModuleType, str, Any]

# The base of StringLookup and IntegerLookup; it has no public name.
LOOKUP = keras.layers.StringLookup.__mro__[1]

# What `keras.ops` and layers call, in modules such as `numpy`, `math` and `core`.
BACKEND = "keras.src.backend.tensorflow"


@contextlib.contextmanager
def patch_attributes(rules: Sequence[Rule]) -> Iterator[None]:
    """Inside the `with` block each `(owner, name, value)` holds; after it what held before."""
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in rules]
    try:
        for owner, name, value in rules:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def get_backend_function(module: str, name: str) -> Callable[..., Any] | None:
    """Returns a function of Keras's TensorFlow backend; None where this Keras has none of it."""
    return getattr(sys.modules.get(f"{BACKEND}.{module}"), name, None)


def replace_function(module: str, name: str, value: Any) -> tuple[Rule, ...]:
    """Returns the rules that put `value` in the place of a function of the backend.

    There is one for each module of Keras that has imported the function by its name.
    """
    stock = get_backend_function(module, name)
    return tuple((owner, bound, value) for owner, bound in _bindings().get(id(stock), ()))


def replace_where_lacking(module: str, name: str, value: Any) -> tuple[Rule, ...]:
    """Does so for the formats alone whose runtimes lack `name`; see `Lowering.lacks`."""
    stock = get_backend_function(module, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        function = value if name in get_lowering().lacks else stock
        return function(*args, **kwargs)

    return replace_function(module, name, call)


@functools.cache
def _bindings() -> dict[int, list[tuple[ModuleType, str]]]:
    """Returns where the functions of the backend are bound, by their identity."""
    bindings: dict[int, list[tuple[ModuleType, str]]] = {}
    for path, module in list(sys.modules.items()):
        if path.split(".")[:2] == ["keras", "src"]:
            for name, value in vars(module).items():
                if str(getattr(value, "__module__", "")).startswith(BACKEND):
                    bindings.setdefault(id(value), []).append((module, name))
    return bindings
