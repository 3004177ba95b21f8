"""Models as bundles: SavedModel, TFLite and ONNX files, proven against Keras, and their runtimes.

    export.export(model, "bundle")            writes a bundle; needs keras-seq[train]
    export.load("bundle", "tflite")           opens one; needs no TensorFlow

`python -m export --help` does the same from a shell.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.exporter import export_model as export
    from export.runtime import load

__all__ = ["export", "load"]

_NAMES = {"export": ("export.exporter", "export_model"), "load": ("export.runtime", "load")}


def __getattr__(name: str) -> Any:
    # Imported at first use: a device that only loads bundles lacks what the exporter imports.
    if name in _NAMES:
        module, attribute = _NAMES[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'export' has no attribute {name!r}")
