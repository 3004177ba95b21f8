"""Settings as dataclasses: a field holds the default, the help text and the command-line form.

One declaration serves the Python API, the command line, its help and the reference pages. Plain
data: imports nothing heavy.
"""

import dataclasses
import inspect
import numbers
import os
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from keras_seq.checking import require_type
from keras_seq.errors import UserError, describe

LARGEST_NUMBER = 2**63 - 1


def option(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    group: str = "",
    metavar: str | None = None,
    choices: Sequence[str] | None = None,
    flag: str | None = None,
    aliases: Sequence[str] = (),
    check: tuple[str, Any] | None = None,
    applies: str | None = None,
    default_text: str | None = None,
    kw_only: Any = dataclasses.MISSING,
) -> Any:
    """Returns a dataclass field that is also a command-line option.

    Args:
        default: The default value.
        help: One line that stands alone, without the default.
        group: Title of the group of options it is listed in.
        metavar: Name of the value in the help text; by default after the type.
        choices: The values allowed.
        flag: The option's spelling, such as "--data"; by default made of the field's name.
        aliases: Earlier names of the field: accepted everywhere, shown nowhere.
        check: What a value must be, in words, and a function that tells whether it is.
        applies: A condition such as "backbone=transformer": elsewhere, giving the option is an
            error.
        default_text: How the help text says the default.
        kw_only: Whether the field is given by name only.
    """
    metadata = {
        "help": help,
        "group": group,
        "metavar": metavar,
        "choices": tuple(choices) if choices else None,
        "flag": flag,
        "aliases": tuple(aliases),
        "check": check,
        "applies": applies,
        "default_text": default_text,
    }
    return dataclasses.field(default=default, metadata=metadata, kw_only=kw_only)


def override(base: type, name: str, default: Any, **changes: Any) -> Any:
    """Returns a field of `base` with another default and other metadata.

    Where only the default differs, assign it: `epochs: int = 4`.

    Args:
        base: The class that declares the field.
        name: Name of the field.
        default: The new default value.
        **changes: Arguments of `option` to replace, such as `help`.
    """
    (field,) = (field for field in dataclasses.fields(base) if field.name == name)
    return dataclasses.field(default=default, metadata={**field.metadata, **changes})


class Options:
    """Base of dataclasses whose fields are made by `option`."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name in inspect.get_annotations(cls):
            value = cls.__dict__.get(name, dataclasses.MISSING)
            inherited = next((base for base in cls.__bases__ if name in _fields(base)), None)
            if inherited and not isinstance(value, dataclasses.Field):
                # Only a default: help text and all else is what the base says.
                setattr(cls, name, override(inherited, name, value))

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            choices, check = field.metadata.get("choices"), field.metadata.get("check")
            if value is None:
                continue
            if isinstance(value, os.PathLike):
                value = os.fspath(value)
                object.__setattr__(self, field.name, value)
            require_type(field.name, value, field.type)
            _require_finite(field.name, value)
            if choices and value not in choices:
                raise UserError(f"{field.name} is one of {', '.join(choices)}. Received: {value}")
            if check and not check[1](value):
                raise UserError(f"{field.name} is {check[0]}. Received: {value}")

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with the values of `changes` that are not None."""
        present = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, **present)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Returns the options in `values`, under today's or earlier names; others are ignored."""
        names = option_names(cls)
        return cls(**{names[name]: value for name, value in values.items() if name in names})


def _require_finite(name: str, value: Any) -> None:
    if isinstance(value, numbers.Real) and not abs(value) <= LARGEST_NUMBER:
        raise UserError(f"{name} is a number of ordinary size. Received: {describe(value)}")


def _fields(kind: type) -> dict[str, dataclasses.Field]:
    return getattr(kind, "__dataclass_fields__", {})


def option_names(kind: type) -> dict[str, str]:
    """Maps every name of an option, earlier ones included, to the name of its field."""
    names = {}
    for field in dataclasses.fields(kind):
        for name in (field.name, *field.metadata.get("aliases", ())):
            names[name] = field.name
    return names


def flag_of(field: dataclasses.Field) -> str:
    """Returns a field's command-line spelling."""
    return field.metadata.get("flag") or to_flag(field.name)


def to_flag(name: str) -> str:
    """Returns the command-line spelling of a name, such as "--max-length"."""
    return f"--{name.replace('_', '-')}"


def value_type(field: dataclasses.Field) -> type:
    """Returns the type of a field's values: of `int | None`, `int`."""
    kind = field.type
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
    return typing.get_origin(kind) or kind


def require_applicable(settings: Any, names: Collection[str]) -> None:
    """Raises UserError if an option was given that these settings have no use for.

    Args:
        settings: The options, given ones and defaults.
        names: Names of the options that the user gave.
    """
    for field in dataclasses.fields(settings):
        condition = field.metadata.get("applies")
        if not condition or field.name not in names:
            continue
        decider, values = condition.split("=")
        current = getattr(settings, decider)
        if current not in values.split("|"):
            raise UserError(
                f"A model with {to_flag(decider)} {current} has no "
                f"{field.name.replace('_', ' ')}. Received: {flag_of(field)} "
                f"{getattr(settings, field.name)}. Leave it out, or choose another "
                f"{to_flag(decider)}."
            )
