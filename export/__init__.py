"""Models as bundles: SavedModel, TFLite and ONNX files, proven against Keras, and their runtimes.

    export.export(model, "bundle")            writes a bundle; needs the extra `train`
    export.load("bundle", "tflite")           opens one; needs no TensorFlow

`python -m export --help` does the same from a shell.
"""

from typing import TYPE_CHECKING

from keras_seq._lazy import lazy_names

if TYPE_CHECKING:
    from export.exporter import export_model as export
    from export.runtime import load

__all__ = ["export", "load"]

# Imported at first use: a device that only loads bundles lacks what the exporter imports.
__getattr__, __dir__ = lazy_names(
    __name__, {"export": "export.exporter:export_model", "load": "export.runtime"}
)
