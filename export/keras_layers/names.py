"""Names of inputs, outputs and states that are the same whenever a model is built."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def name_layers(layers: Sequence[Any]) -> list[str]:
    """Returns the names of layers, those that Keras has numbered without their numbers.

    Keras counts over a whole process: the same model has `lstm` in one and `lstm_3` in another.
    Where two have one name, the second gets the number 1.
    """
    return make_unique([_without_number(layer) for layer in layers], [])


def _without_number(layer: Any) -> str:
    base = re.sub(r"_\d+$", "", layer.name)
    return base if base == _to_snake_case(type(layer).__name__) else layer.name


def _to_snake_case(name: str) -> str:
    """Returns the name that Keras gives to a layer of a class."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def make_unique(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Returns names that every format can spell, none of them twice."""
    # Functions that take inputs by name are often methods.
    used, unique = {"self", *taken}, []
    for original in names:
        plain = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in original)
        plain = plain if plain[:1].isalpha() else f"x{plain}"
        name, number = plain, 1
        while name in used:
            name, number = f"{plain}_{number}", number + 1
        used.add(name)
        unique.append(name)
    return unique
