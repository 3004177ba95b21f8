"""Which Keras layer made an operator of a traced graph, for messages.

The name of an operator begins with the scopes of its layers, from the outermost. While a signature
is traced, `export.keras_layers.scopes` notes the layer of each scope here.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary


@dataclass
class Scopes:
    """The layers of a trace.

    Attributes:
        owners: What made the operators of a scope, such as "the layer 'lstm' (LSTM)".
        failed: Scope in which tracing raised an error.
    """

    owners: dict[str, str] = field(default_factory=dict)
    failed: str | None = None

    def describe(self, name: str) -> str:
        """Returns the layer of an operator, and the layer around it; "" where none made it."""
        parts = name.split("/")
        paths = ["/".join(parts[:i]) for i in range(len(parts), 0, -1)]
        owners = [self.owners[path] for path in paths if path in self.owners]
        owners = [owner for i, owner in enumerate(owners) if owner not in owners[:i]]
        inner = [owner for owner in owners if not owner.startswith("the model")]
        return " in ".join(inner[:2] or owners[:1])


_current: ContextVar[Scopes | None] = ContextVar("scopes", default=None)
_traces: WeakKeyDictionary[Any, Scopes] = WeakKeyDictionary()


@contextlib.contextmanager
def record_scopes() -> Iterator[Scopes]:
    """Inside the `with` block `note_scope` and `note_failure` fill the record."""
    scopes = Scopes()
    token = _current.set(scopes)
    try:
        yield scopes
    finally:
        _current.reset(token)


def note_scope(scope: str, owner: str) -> None:
    """Notes what makes the operators whose names begin with `scope`."""
    if (scopes := _current.get()) is not None:
        scopes.owners.setdefault(scope, owner)


def note_failure(scope: str) -> None:
    """Notes that an error was raised in `scope`, if none was before."""
    if (scopes := _current.get()) is not None and scopes.failed is None:
        scopes.failed = scope


def keep_scopes(graph: Any, scopes: Scopes) -> None:
    """Keeps the record of a traced graph as long as the graph lives."""
    _traces[graph] = scopes


def describe_layer(graph: Any, name: str) -> str:
    """Returns the layer that made the operator `name` of a traced graph; see `Scopes`."""
    return _traces[graph].describe(name) if graph in _traces else ""


def describe_current_layer() -> str:
    """Returns the layer that is traced now; "" where none is."""
    import tensorflow as tf

    scopes = _current.get()
    return scopes.describe(tf.get_current_name_scope()) if scopes is not None else ""
