"""The formats: one file or folder each, which writes signatures into a bundle and runs them.

A format is a module with

    FOLDER      its folder in a bundle
    STATIC      whether its shapes are fixed
    RULES       whether it traces layers by rules of its own; see `keras_seq.layers.lowering`
    STRINGS     whether it has strings, so that signatures on texts come on strings, too
    PACKAGES    the packages whose versions its files depend on
    REQUIRES    the module that runs its files
    EXTRA       the extra of keras-seq that brings it; None where it has none
    USE         how to call it, as Markdown for the model card: BUNDLE, VARIANT, SIGNATURE, INPUTS
                and CALL stand for what they say

    RUNS_CODE   whether a file of it can do more than compute, so that a stranger's is not run

    write(signatures, folder, sizes)        writes files with the dimensions in `sizes` fixed
    name_files(signatures, precision)       the files that signatures need, by path in the bundle
    operators(folder, files)                counts the operators in the files, by default in all
    Runner(folder, threads, precision, device, files)
                                            runs the files, of which it opens none but `files`:
                                            `open(signature)` loads what the first call would load
                                            and returns the shapes of inputs and the names of
                                            outputs in it, None for an open size;
                                            `runner(signature, inputs)` returns outputs, NumPy
                                            arrays by name

Importing a format imports neither Keras nor TensorFlow; its functions import what they need.
"""

import importlib
import importlib.util
from types import ModuleType

from keras_seq import installation

# In the order in which `runtime.load` tries them.
NAMES = ("tflite", "onnx", "saved_model")


def module(name: str) -> ModuleType:
    """Returns the module of the format `name`."""
    return importlib.import_module(f"export.formats.{name}")


def install_command(name: str) -> str:
    """Returns the command that installs the runtime of the format `name`."""
    extra = module(name).EXTRA
    return installation.install_command(extra) if extra else f"pip install {module(name).REQUIRES}"


def is_installed(name: str) -> bool:
    """Whether the runtime of the format `name` can be imported."""
    return importlib.util.find_spec(module(name).REQUIRES) is not None


def add_precision(name: str, precision: str) -> str:
    """Returns the file name for a precision: "model.tflite", but "model.int8.tflite" in int8."""
    stem, dot, extension = name.rpartition(".")
    return name if precision == "float32" else f"{stem}.{precision}{dot}{extension}"
