"""Arguments compared with their annotations, so that a mistake is answered in a sentence."""

import difflib
import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_seq.errors import ArgumentError, describe

F = typing.TypeVar("F", bound=Callable[..., Any])

ACCEPTED: dict[Any, Any] = {
    int: numbers.Integral,
    float: numbers.Real,
    bool: (bool, np.bool_),
    Path: os.PathLike,
}
LISTS = (list, Sequence, Collection, Iterable)
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a string",
    bytes: "bytes",
    Path: "a path",
    Mapping: "a dictionary",
    dict: "a dictionary",
    Callable: "a function",
    types.NoneType: "None",
    **dict.fromkeys(LISTS, "a list"),
}


def check_arguments(function: F) -> F:
    """Makes a function refuse arguments that its annotations exclude, and names it doesn't know.

    Of containers, only the container is looked at; an argument annotated `Any` takes anything.

    Raises:
        ArgumentError: At a call, before the function runs.
    """

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        signature, kinds = _read_annotations(function)
        _require_known(signature, kwargs)
        try:
            given = signature.bind_partial(*args, **kwargs).arguments
        except TypeError:
            given = {}  # Python itself says what is wrong.
        require_types(given, kinds)
        return function(*args, **kwargs)

    return typing.cast(F, checked)


@functools.cache
def _read_annotations(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """Returns the signature of a function, and the type of each argument that is one value."""
    signature = inspect.signature(function)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    single = {p.name for p in signature.parameters.values() if p.kind not in variadic}
    hints = typing.get_type_hints(function)
    return signature, {name: kind for name, kind in hints.items() if name in single}


def _require_known(signature: inspect.Signature, names: Iterable[str]) -> None:
    parameters = signature.parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.name not in ("self", "cls")]
    for name in names:
        if name not in known:
            raise ArgumentError(describe_unknown(name, known))


def describe_unknown(name: str, known: Sequence[str], what: str = "argument") -> str:
    """Returns what to say of a name that does not exist: the one that was meant, and all.

    Args:
        name: The name.
        known: Those that exist.
        what: What they are names of.
    """
    close = difflib.get_close_matches(name, known, 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    others = f"{what}s are {', '.join(known)}" if len(known) > 1 else f"{what} is {known[0]}"
    return f"There is no {what} {name!r}.{meant} The {others}."


def check_given(function: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Raises ArgumentError if a value is not of the type that a function annotates its name with.

    For classes whose constructors Keras reads: it does not look through a decorator.
    """
    require_types(values, _read_annotations(function)[1])


def check_call(
    function: Callable[..., Any], values: Mapping[str, Any], kinds: Mapping[str, Any]
) -> None:
    """Raises ArgumentError if a function does not know a name, or a value is not of its type.

    Args:
        function: The function, of a library that says less of what it takes.
        values: Arguments by name.
        kinds: The types of those that are checked.
    """
    signature = inspect.signature(function)
    _require_known(signature, values)
    require_types(values, kinds)


def require_types(values: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raises ArgumentError if one of the values is not of its annotated type."""
    for name, value in values.items():
        require_type(name, value, kinds.get(name, Any))


def require_type(name: str, value: Any, kind: Any) -> None:
    """Raises ArgumentError if a value is not of an annotated type."""
    if not is_instance(value, kind):
        raise ArgumentError(f"{name} is {describe_kind(kind)}. Received: {describe(value)}")


def is_instance(value: Any, kind: Any) -> bool:
    """Returns whether a value is of an annotated type; of containers, only the container."""
    if kind is Any:  # a class since Python 3.11
        return True
    if is_union(kind):
        return any(is_instance(value, part) for part in typing.get_args(kind))
    kind = typing.get_origin(kind) or kind
    if kind is Callable:
        return callable(value)
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind in LISTS:
        return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    return isinstance(value, ACCEPTED.get(kind, kind)) if isinstance(kind, type) else True


def describe_kind(kind: Any) -> str:
    """Returns an annotation in words: "a path or a string"."""
    if is_union(kind):
        parts = [part for part in typing.get_args(kind) if part is not types.NoneType]
        return " or ".join(dict.fromkeys(map(describe_kind, parts)))
    kind = typing.get_origin(kind) or kind
    return WORDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def is_union(kind: Any) -> bool:
    """Returns whether an annotation is of several types."""
    return typing.get_origin(kind) in (typing.Union, types.UnionType)
