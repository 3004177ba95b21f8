"""One file a format. Each writes signatures into a bundle and counts the operators it wrote.

A format is a module with `FOLDER`, its folder in a bundle; `STATIC`, whether its shapes are fixed;
`STRINGS`, whether it has them, so that signatures on texts also come on strings;
`write(signatures, folder, sizes)`; and `operators(folder)`.
"""

import importlib
from types import ModuleType

NAMES = ("saved_model", "tflite", "onnx")


def module(name: str) -> ModuleType:
    """The module of the format `name`."""
    return importlib.import_module(f"export.formats.{name}")
