"""Models as bundles: SavedModel, TFLite and ONNX files, proven against Keras, and their runtimes.

    export.export(model, "bundle")            writes a bundle; needs keras-seq[train]
    export.load("bundle", "tflite")           opens one; needs no TensorFlow

`python -m export --help` does the same from a shell.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.exporter import export
    from export.runtime import load

__all__ = ["export", "load"]

_HOME = {"export": "export.exporter", "load": "export.runtime"}


def __getattr__(name: str) -> Any:
    # Imported at the first use: the exporter needs what a device that only loads does not have.
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'export' has no attribute {name!r}")
