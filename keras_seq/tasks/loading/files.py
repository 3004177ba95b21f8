"""What a file or a folder is that is given as a model, and what to do where it is none."""

import zipfile
from enum import Enum
from pathlib import Path

from keras_seq.errors import UserError, choose_wording
from keras_seq.files import LARGEST_JSON, open_file, parse_json, read_bytes
from keras_seq.keras2.files import HDF5_SIGNATURE

HEAD = 64  # bytes that tell what a file is


class ModelFile(Enum):
    """Kinds of files that hold a Keras model."""

    KERAS = "a .keras file"
    HDF5 = "an .h5 file"
    SAVED_MODEL = "a SavedModel folder"
    JSON = "a model's layers as JSON"


def identify(path: Path) -> ModelFile:
    """Returns what a file or folder is; its content tells, not its name.

    Raises:
        UserError: If it holds no Keras model: the message says what it is and what to do.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist.")
    if path.is_dir():
        return _identify_folder(path)
    with open_file(path) as file:
        head = file.read(HEAD)
    if not head:
        raise UserError(f"{path} is empty. {_copy_again()}")
    if head.startswith(HDF5_SIGNATURE):
        return ModelFile.HDF5
    if head.startswith(b"PK"):
        return _identify_archive(path)
    if path.suffix == ".json":
        return _identify_json(path)
    raise UserError(_explain(path, head))


def _identify_folder(path: Path) -> ModelFile:
    if (path / "manifest.json").is_file():
        opened = choose_wording("python -m export inspect", "export.load")
        command = f"{opened} {path}" if " " in opened else f"export.load({str(path)!r})"
        raise UserError(f"{path} is a bundle, not a Keras model. Open it with: {command}")
    if (path / "saved_model.pb").is_file():
        return ModelFile.SAVED_MODEL
    names = {file.name for file in path.iterdir()}
    if {"config.json", "metadata.json", "model.weights.h5"} <= names:
        raise UserError(
            f"{path} is the content of a .keras file. Pack it again: cd {path}; zip -r "
            "../model.keras ."
        )
    if "checkpoint" in names or any(name.endswith(".index") for name in names):
        raise UserError(f"{path} holds TensorFlow checkpoints. {explain_weights(path)}")
    models = sorted(name for name in names if name.endswith((".keras", ".h5", ".hdf5")))
    if models:
        raise UserError(f"{path} is a folder. Name a file in it: {path / models[0]}")
    if not names:
        raise UserError(f"{path} is an empty folder. Name a .keras file or a run folder.")
    raise UserError(
        f"{path} is a folder without a model: neither a run folder nor a SavedModel. Name a .keras "
        "file, a run folder or preset:NAME."
    )


def _identify_archive(path: Path) -> ModelFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        raise UserError(f"{path} was cut short. {_copy_again()}") from None
    if "config.json" in names and "metadata.json" in names:
        return ModelFile.KERAS
    if any(name.endswith("data.pkl") for name in names):
        raise UserError(_explain_pytorch(path))
    if any(name.endswith(("saved_model.pb", ".keras", ".h5")) for name in names):
        raise UserError(f"{path} is an archive. Unpack it, and name what was in it.")
    raise UserError(f"{path} is a ZIP file without a Keras model in it. Name a .keras file.")


def _identify_json(path: Path) -> ModelFile:
    try:
        content = parse_json(read_bytes(path, LARGEST_JSON))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}. Name a .keras file.") from None
    if isinstance(content, dict) and "class_name" in content and "config" in content:
        return ModelFile.JSON
    if isinstance(content, dict) and "modelTopology" in content:
        raise UserError(
            f"{path} is a TensorFlow.js model. Name the Keras file that it was made of, or convert "
            f"it: tensorflowjs_converter --input_format tfjs_layers_model {path} model.h5"
        )
    raise UserError(f"{path} is JSON, but no Keras model. Name a .keras file.")


def _explain(path: Path, head: bytes) -> str:
    suffix = path.suffix.lower()
    if head[4:8] == b"TFL3" or suffix == ".tflite":
        return (
            f"{path} is a TFLite file already, and cannot be made a Keras model again. Name the "
            ".keras file that it was made of."
        )
    if suffix == ".onnx":
        return (
            f"{path} is an ONNX file already, and cannot be made a Keras model again. Name the "
            ".keras file that it was made of."
        )
    if suffix in (".pt", ".pth", ".ckpt", ".bin"):
        return _explain_pytorch(path)
    if suffix == ".safetensors" or head[8:10] == b'{"':
        return f"{path} holds arrays alone (safetensors), without a model. {explain_weights(path)}"
    if suffix in (".index", ".meta") or ".data-0" in path.name:
        return f"{path} is part of a TensorFlow checkpoint. {explain_weights(path)}"
    if suffix == ".pb":
        return (
            f"{path} is a graph of TensorFlow. Of a SavedModel name the folder, {path.parent}, "
            "which holds the layers, too."
        )
    if head[:1] == b"\x80" or suffix in (".pkl", ".pickle", ".joblib"):
        return (
            f"{path} is a pickle, which runs code when it is opened. Open it where it was made, "
            "and save the model: model.save('model.keras')"
        )
    if suffix in (".keras", ".h5", ".hdf5"):
        return f"{path} is damaged: it does not begin as a {suffix} file does. {_copy_again()}"
    if suffix == ".py":
        return (
            f"{path} is a Python file. To build the model with a function in it: "
            f"{_build_command(str(path))}"
        )
    kind = "a text file" if _is_text(head) else "a file of an unknown kind"
    return f"{path} is {kind}, not a Keras model. Name a .keras file or a run folder."


def _explain_pytorch(path: Path) -> str:
    return (
        f"{path} is a file of PyTorch, which this program does not read. Build the model in Keras, "
        "copy its weights, and save it: model.save('model.keras')"
    )


def explain_weights(path: Path) -> str:
    """Returns what to do with a file that holds weights alone."""
    return (
        "Build the model in a Python function, and load the weights into it: "
        f"{_build_command('FILE', path)}"
    )


def _build_command(file: str, weights: Path | None = None) -> str:
    name = weights if weights is not None else "FILE"
    return choose_wording(
        f"--import {file}:FUNCTION" + (f" --weights {name}" if weights is not None else ""),
        f"model.load_weights({str(name)!r}), then export.export(model, …)"
        if weights is not None
        else "export.export(FUNCTION(), …)",
    )


def _copy_again() -> str:
    return "Copy it again, or save the model again."


def _is_text(head: bytes) -> bool:
    try:
        return all(char.isprintable() or char.isspace() for char in head.decode("utf-8", "ignore"))
    except ValueError:
        return False
