"""Command-line arguments made from dataclasses of options, and read back into them."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from keras_seq.options import flag_of, to_flag, value_type

METAVARS = {int: "N", float: "X", str: "NAME"}


def add_options(
    parser: argparse.ArgumentParser,
    kinds: Sequence[type],
    variants: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    titles: Mapping[str, str] | None = None,
) -> None:
    """Adds an argument for each field of dataclasses; fields of one name share an argument.

    No argument has a default: what the user leaves out is None.

    Args:
        parser: The parser.
        kinds: The dataclasses, whose fields are made by `keras_seq.options.option`.
        variants: Instances with the defaults of each variant, such as a backbone, the default one
            first; the help text lists them.
        defaults: Defaults that the help text says in place of the fields' own.
        titles: Descriptions of groups of options, by their titles.
    """
    fields: dict[str, dataclasses.Field] = {}
    for kind in kinds:
        for field in dataclasses.fields(kind):
            fields.setdefault(field.name, field)
    groups: dict[str, Any] = {}
    for field in fields.values():
        title = field.metadata.get("group")
        if title and title not in groups:
            groups[title] = parser.add_argument_group(title, (titles or {}).get(title))
        _add_option(groups.get(title, parser), field, variants or {}, defaults or {})


def _add_option(
    target: Any, field: dataclasses.Field, variants: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    kind, metadata = value_type(field), field.metadata
    options: dict[str, Any] = {"dest": field.name, "default": None}
    if kind is bool:
        options["action"] = argparse.BooleanOptionalAction if field.default else "store_true"
    elif kind is list:
        options |= {"action": "append", "metavar": metadata["metavar"] or "TEXT"}
    elif metadata["choices"]:
        options["choices"] = metadata["choices"]
    else:
        options |= {"type": kind, "metavar": metadata["metavar"] or METAVARS[kind]}
    default = _describe_default(field, variants, defaults)
    help = metadata["help"] + (f" (default: {default})" if default else "")
    target.add_argument(flag_of(field), help=help.replace("%", "%%"), **options)
    for alias in metadata["aliases"]:
        target.add_argument(to_flag(alias), **{**options, "help": argparse.SUPPRESS})


def _describe_default(
    field: dataclasses.Field, variants: Mapping[str, Any], defaults: Mapping[str, Any]
) -> str:
    """Returns the default as the help text says it: "0.4; rnn 0.3, transformer 0.2"."""
    if field.metadata["default_text"]:
        return field.metadata["default_text"]
    if field.name in defaults:
        return str(defaults[field.name])
    values = {n: getattr(v, field.name) for n, v in variants.items() if hasattr(v, field.name)}
    first = next(iter(values.values()), field.default)
    if first is None or first == "" or isinstance(first, bool):
        return ""
    if field.name == "backbone":
        return str(first)
    others = [f"{name} {_format(value)}" for name, value in values.items() if value != first]
    return _format(first) + (f"; {', '.join(others)}" if others else "")


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_options(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Returns the options of `kind` that the user gave, by the names of their fields."""
    names = (field.name for field in dataclasses.fields(kind))
    values = ((name, getattr(arguments, name, None)) for name in names)
    return {name: value for name, value in values if value is not None}
