"""Compares the configurations of our own classes with their annotations, before one is built."""

import inspect
import math
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import keras

from keras_seq.checking import LISTS, describe_kind, is_instance, is_union
from keras_seq.data.labels import describe_fault
from keras_seq.errors import UserError, describe

PACKAGE = "keras_seq"
OF_KERAS = {"name": str, "trainable": bool}  # what every layer may say
# Where no file is there to compare with.
MOST_LAYERS, LARGEST_SIZE, LONGEST_SEQUENCE = 1000, 2**24, 1_000_000
LARGEST_NUMBER = 2**63 - 1
SIZES = {
    "dim",
    "head_dim",
    "hidden_dim",
    "intermediate_dim",
    "key_dim",
    "num_heads",
    "output_shape",
    "units",
    "value_dim",
    "vocabulary_size",
}
DEEPEST = 200  # objects in each other
SHARES = {"dropout", "label_smoothing", "rate", "recurrent_dropout"}
NAMES = {"labels", "source", "target"}  # texts that are shown


def validate_config(config: Any, layers: int = MOST_LAYERS, largest: int = LARGEST_SIZE) -> None:
    """Checks each configuration of a class of ours, in a serialised object or in its settings.

    Args:
        config: What `keras.saving.serialize_keras_object` returns, or JSON that claims to be that.
        layers: How many layers there may be, such as the arrays in the file.
        largest: The largest size there may be, such as the largest dimension of these arrays.

    Raises:
        UserError: If a setting is missing, of another type, or out of its range; the message names
            it and its class.
    """
    limits = {
        "num_layers": layers,
        "max_length": LONGEST_SEQUENCE,
        **dict.fromkeys(SIZES, largest),
    }
    for item in _walk(config):
        kind = _find_class(item)
        if kind is not None:
            _validate(kind, item.get("config"), limits)


def _walk(config: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > DEEPEST:
        raise UserError(f"The configuration has more than {DEEPEST} objects in each other.")
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _walk(value, depth + 1)
    elif isinstance(config, list):
        for value in config:
            yield from _walk(value, depth + 1)


def _find_class(item: Mapping[str, Any]) -> type | None:
    """Returns the class of ours that a serialised object names; None for all others."""
    names = {str(item.get("registered_name")), f"{PACKAGE}>{item['class_name']}"}
    is_ours = any(str(item.get(k)).startswith(PACKAGE) for k in ("registered_name", "module"))
    found = [keras.saving.get_registered_object(name) for name in names] if is_ours else []
    return next((kind for kind in found if inspect.isclass(kind)), None)


@cache
def _read_settings(kind: type) -> tuple[dict[str, Any], set[str]]:
    """Returns the types of the settings of a class by name, and those that have no default."""
    kinds: dict[str, Any] = {}
    required: set[str] = set()
    makers = [vars(base)["__init__"] for base in reversed(kind.__mro__) if _has_own(base)]
    # A model in a file is whole: nothing is left to be learnt, as in its constructor.
    makers += [kind.assemble] if hasattr(kind, "assemble") else []
    for maker in makers:
        maker = inspect.unwrap(maker)
        hints = typing.get_type_hints(maker)
        for name, parameter in inspect.signature(maker).parameters.items():
            if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or name == "self":
                continue
            kinds[name] = hints.get(name, Any)
            if parameter.default is parameter.empty:
                required.add(name)
            else:
                required.discard(name)
    own = inspect.signature(inspect.unwrap(vars(kind).get("__init__", kind.__init__))).parameters
    return kinds | OF_KERAS, required & ({*own} | {"backbone", "tokenizer", "labels"})


def _has_own(base: type) -> bool:
    return base.__module__.startswith(PACKAGE) and "__init__" in vars(base)


def _validate(kind: type, settings: Any, limits: Mapping[str, int]) -> None:
    if not isinstance(settings, dict):
        raise UserError(
            f"The settings of {kind.__name__} are a dictionary. Received: {describe(settings)}"
        )
    kinds, required = _read_settings(kind)
    for name in sorted(required - settings.keys()):
        raise UserError(f"The settings of {kind.__name__} have no {name}.")
    for name, value in settings.items():
        if name == "dtype" and not _is_policy(value):
            raise UserError(f"dtype of {kind.__name__} is no dtype. Received: {describe(value)}")
        if name in kinds:
            fault = _find_fault(name, value, kinds[name], limits)
            if fault:
                raise UserError(f"{name} of {kind.__name__} {fault}. Received: {describe(value)}")


def _is_policy(value: Any) -> bool:
    """Returns whether Keras makes a dtype policy of a setting."""
    try:
        policy = keras.dtype_policies.get(value)
    except Exception:  # Keras raises errors of many kinds here.
        return False
    return isinstance(policy, keras.DTypePolicy)


def _find_fault(name: str, value: Any, kind: Any, limits: Mapping[str, int]) -> str:
    """Returns what is wrong with a setting: "is from 0 to 9"; "" where nothing is."""
    parts = typing.get_args(kind) if is_union(kind) else (kind,)
    classes = [part for part in parts if inspect.isclass(part) and part.__module__ != "builtins"]
    ours = [part for part in classes if part.__module__.startswith(PACKAGE)]
    if ours:
        inner = _find_class(value) if isinstance(value, dict) and "class_name" in value else None
        if inner is None or not issubclass(inner, tuple(ours)):
            optional = type(None) in parts and value is None and name != "tokenizer"
            return "" if optional else f"is an object of the class {ours[0].__name__}"
        return ""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value.get("items")
    if isinstance(value, list) and any((typing.get_origin(p) or p) is tuple for p in parts):
        return ""  # JSON has no tuples.
    if bytes in parts:
        kind = str  # JSON has no bytes.
    if not is_instance(value, kind):
        return f"is {describe_kind(kind)}"
    if isinstance(value, bool) or value is None:
        return ""
    if name in SHARES and not 0 <= value < 1:
        return "is a share in [0, 1)"
    if isinstance(value, int) and kind is not Any:
        most = limits.get(name, LARGEST_NUMBER)
        return "" if 0 <= value <= most else f"is from 0 to {most:,}"
    if isinstance(value, float) and not math.isfinite(value):
        return "is a finite number"
    items = value if isinstance(value, list) else [value]
    if isinstance(value, list) and _item_kind(parts) is str:
        for item in items:
            if not isinstance(item, str):
                return f"has an item that is no string: {describe(item)}"
    if name in NAMES:
        for item in items:
            fault = describe_fault(item)
            if fault:
                return f"has {describe(item)}, which {fault}"
    return ""


def _item_kind(parts: tuple[Any, ...]) -> Any:
    for part in parts:
        if typing.get_origin(part) in LISTS:
            return next(iter(typing.get_args(part)), Any)
    return Any
