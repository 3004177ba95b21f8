"""Loads a model from a run, a file or a preset; files of earlier versions are converted."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras

from keras_seq import presets
from keras_seq.checking import check_arguments
from keras_seq.errors import UserError
from keras_seq.tasks.registry import import_models
from keras_seq.tasks.upgrade import upgrade_file
from keras_seq.training.run import Run

MODEL_FILES = (".keras", ".h5", ".hdf5")


@check_arguments
def load_model(path: str | Path, compile: bool = True) -> keras.Model:
    """Loads a model as `keras.saving.load_model`, with errors that say what to do.

    The classes of all tasks are registered first, and a file of an earlier version of keras-seq is
    converted while it is read.

    Args:
        path: `preset:NAME`, a run folder, a `.keras` file, or an `.h5` file of Keras 2 that Keras 3
            can read.
        compile: Restore loss, optimizer and metrics, too.

    Raises:
        UserError: If the file is missing, truncated or of another kind, or has layers that are
            unknown or that Keras does not load from an untrusted file.
    """
    path = presets.model_path(path) if str(path).startswith(presets.PREFIX) else Path(path)
    if Run(path).started:
        path = Run.open(path).model_path
    if (path / "manifest.json").is_file():
        raise UserError(
            f"{path} is a bundle, not a Keras model. Open it with: export.load({str(path)!r})"
        )
    if (path / "saved_model.pb").is_file():
        raise UserError(
            f"{path} is a SavedModel, which Keras 3 does not load as a model. Load it where it was "
            "made (Keras 2: tf_keras) and save it there: model.save('model.keras') or 'model.h5'"
        )
    if path.suffix not in MODEL_FILES:
        raise UserError(f"{path} is not a .keras file. Give a run folder or a .keras file.")
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    import_models()
    try:
        if path.suffix != ".keras":
            return _load_h5(path, compile)
        with upgrade_file(path) as current:
            return keras.saving.load_model(current, compile=compile)
    except Exception as error:
        reason = str(error).strip()
        if "safe_mode" in reason or "Lambda" in reason or "lambda" in reason:
            raise UserError(
                f"{path} has Python code inside (a Lambda layer), which is not run from a file. If "
                "you trust it: keras.saving.load_model(path, safe_mode=False) in Python, then "
                "export.export(model, …)."
            ) from error
        unknown = re.search(r"(?:Could not locate class|Unknown layer:?) '?(\w+)", reason)
        if unknown:
            raise UserError(
                f"{path} has a layer of the class {unknown[1]}, which is not known here. Name the "
                "Python file or module that registers it "
                "(keras.saving.register_keras_serializable): --import FILE"
            ) from error
        raise UserError(
            f"{path} cannot be read as a Keras model: {str(error).strip()[:500]} If the file was "
            "cut short, copy it again or train the model again."
        ) from error


def _load_h5(path: Path, compile: bool) -> keras.Model:
    """Loads a Keras 2 file: Keras 3 refuses the argument `time_major` that it may have."""
    import h5py

    def without_time_major(config: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in config.items() if k != "time_major" or v}

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        with h5py.File(copy, "r+") as file:
            if "model_config" in file.attrs:
                config = json.loads(file.attrs["model_config"], object_hook=without_time_major)
                file.attrs["model_config"] = json.dumps(config)
        return keras.saving.load_model(copy, compile=compile)


def find_model(path: str | Path) -> tuple[Any, Run | None]:
    """Loads the model of a run folder, with its run, or of a model file or a preset.

    Raises:
        UserError: If there is none, or it can't be read.
    """
    is_preset = str(path).startswith(presets.PREFIX)
    if is_preset or Path(path).suffix in MODEL_FILES or (Path(path) / "saved_model.pb").is_file():
        return load_model(path, compile=False), None
    run = Run.open(path)
    return load_model(run.model_path), run


def load_initial(run: Run, init_from: str) -> Any:
    """Loads the model that a run begins with: `init_from`, or the copy that a started run has."""
    return find_model(run.initial_path if run.started else init_from)[0]
