"""Configurations of old Keras files, changed so that the last Keras 2 reads them."""

import copy
import re
from collections.abc import Iterator
from typing import Any

# Names that classes had in some version, and arguments that these classes did not have to write.
OLD_CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "CuDNNLSTM": ("LSTM", {"activation": "tanh", "recurrent_activation": "sigmoid"}),
    "CuDNNGRU": (
        "GRU",
        {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True},
    ),
    "UnifiedLSTM": ("LSTM", {}),
    "UnifiedGRU": ("GRU", {}),
}
# Of classes with a version in the name TensorFlow 1 wrote the one in use.
VERSION = re.compile(r"^(BatchNormalization|LSTM|GRU|LSTMCell|GRUCell)V\d$")
LOOKUPS = ("TextVectorization", "StringLookup", "IntegerLookup")
# How a recurrence is computed, which newer versions choose themselves.
IMPLEMENTATION = ("implementation", "unroll", "input_dim", "input_length")


def walk(config: Any) -> Iterator[dict[str, Any]]:
    """Yields every dictionary in a configuration that names a class, the outer ones first."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from walk(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from walk(value)


def walk_layers(config: Any) -> Iterator[dict[str, Any]]:
    """Yields the configuration of each layer in that of a model, cells and wrapped layers, too."""
    for item in walk(config):
        settings = item.get("config")
        if not isinstance(settings, dict):
            continue
        inner = [settings.get(key) for key in ("layer", "backward_layer", "cell")]
        for key in ("layers", "cells"):
            inner += settings.get(key) or [] if isinstance(settings.get(key), list) else []
        yield from (part for part in inner if isinstance(part, dict) and "class_name" in part)


def modernize(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the configuration of a model as the last Keras 2 writes it.

    `CuDNNLSTM` and `CuDNNGRU` become the layers that compute the same anywhere, a `Sequential`
    whose configuration is the list of its layers gets a dictionary, and a `GRU` from before there
    was a choice resets its state before the matrix product.
    """
    config = copy.deepcopy(config)
    for item in walk(config):
        name = VERSION.sub(r"\1", str(item["class_name"]))
        name, defaults = OLD_CLASSES.get(name, (name, {}))
        if name != item["class_name"]:
            item["class_name"] = name
            if item.get("registered_name"):
                item["registered_name"] = name
        settings = item.get("config")
        if name == "Sequential" and isinstance(settings, list):
            settings = item["config"] = {"name": "sequential", "layers": settings}
        if not isinstance(settings, dict):
            continue
        settings |= {key: value for key, value in defaults.items() if key not in settings}
        if name in ("GRU", "GRUCell"):
            settings.setdefault("reset_after", False)
        if name.startswith("ConvLSTM"):
            for key in IMPLEMENTATION:
                settings.pop(key, None)
    return config


def name_functions(config: Any) -> Any:
    """Returns a configuration whose functions are their names, as Keras 2 wrote them before 2.13.

    In files of the old forms it does not find a user's function otherwise.
    """
    if isinstance(config, dict):
        if config.get("class_name") == "function" and isinstance(config.get("config"), str):
            return config["config"]
        return {key: name_functions(value) for key, value in config.items()}
    return [name_functions(value) for value in config] if isinstance(config, list) else config


def find_code(config: Any) -> list[str]:
    """Returns the names of the layers in a configuration that hold Python code."""
    names: list[str] = []
    for item in walk(config):
        settings = item.get("config")
        if not isinstance(settings, dict):
            continue
        if item["class_name"] == "Lambda":
            inner = [settings.get(key) for key in ("function", "output_shape", "mask")]
            types = [settings.get(f"{key}_type") for key in ("function", "output_shape", "mask")]
            holds_code = "lambda" in types or any(_is_code(value) for value in inner)
        else:
            values = [value for value in settings.values() if not isinstance(value, list)]
            holds_code = any(_is_code(value) for value in values)
        if holds_code:
            names.append(f"{settings.get('name', 'without a name')} ({item['class_name']})")
    return names


def find_tables(config: Any) -> list[str]:
    """Returns the names of the layers in a configuration that look words up which are not in it."""
    return [
        f"{item['config'].get('name', 'a layer')} ({item['class_name']})"
        for item in walk(config)
        if item["class_name"] in LOOKUPS and not item["config"].get("vocabulary")
    ]


def _is_code(value: Any) -> bool:
    """Returns whether a value is the byte code of a function, as Keras writes it."""
    return isinstance(value, dict) and (
        value.get("class_name") == "__lambda__" or value.get("function_type") == "lambda"
    )
