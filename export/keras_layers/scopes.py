"""Which layer makes an operator, noted while a model is traced: messages name it.

Layers open a name scope in the graph; functions of `keras.ops` that a Functional model holds don't,
so they are given one.
"""

from typing import Any

import keras
import tensorflow as tf

from export.formats.layers import note_failure, note_scope
from export.keras_layers.patching import get_backend_function

SCOPE = get_backend_function("core", "name_scope")
_enter, _exit = SCOPE.__enter__, SCOPE.__exit__
_call = keras.Operation.__call__


def _describe(owner: Any) -> str:
    kind = "operation"
    if isinstance(owner, keras.Model):
        kind = "model"
    elif isinstance(owner, keras.Layer):
        kind = "layer"
    return f"the {kind} {owner.name!r} ({type(owner).__name__})"


def enter(self: Any) -> Any:
    """As `name_scope.__enter__`."""
    scope = _enter(self)
    if isinstance(self.caller, keras.Operation):
        note_scope(tf.get_current_name_scope(), _describe(self.caller))
    return scope


def leave(self: Any, kind: Any = None, *error: Any) -> None:
    """As `name_scope.__exit__`."""
    if kind is not None:
        note_failure(tf.get_current_name_scope())
    _exit(self, kind, *error)


def call_in_scope(self: keras.Operation, *args: Any, **kwargs: Any) -> Any:
    """As `Operation.__call__`, in a scope of the operation's name."""
    if isinstance(self, keras.Layer):
        return _call(self, *args, **kwargs)
    with SCOPE(self.name, caller=self):
        return _call(self, *args, **kwargs)


RULES = (
    (SCOPE, "__enter__", enter),
    (SCOPE, "__exit__", leave),
    (keras.Operation, "__call__", call_in_scope),
)
