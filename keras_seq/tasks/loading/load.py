"""Loads a model from a run, a file or a preset; files of earlier versions are converted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_seq import presets
from keras_seq.checking import check_arguments
from keras_seq.console import print_status
from keras_seq.tasks.loading.imports import Imported
from keras_seq.tasks.loading.loader import Loader, Say
from keras_seq.training.run import Run


@check_arguments
def load_model(
    path: str | Path,
    compile: bool = True,
    *,
    trust: bool = False,
    custom_objects: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    sample: Any = None,
    say: Say = print_status,
) -> keras.Model:
    """Loads a model of any version of Keras, with errors that say what to do.

    The classes of all tasks are registered first, and a file of an earlier version of keras-seq is
    converted while it is read. A model of Keras 2 becomes one of Keras 3, which is compared with
    it. Every weight in the file is in the model.

    Args:
        path: `preset:NAME`, a run folder, a `.keras` or `.h5` file of Keras 2 or 3, a SavedModel
            folder of Keras 2, or the `.json` of a model's layers.
        compile: Restore loss, optimizer and metrics of a Keras 3 model, too.
        trust: Run Python code that is in the file, such as that of a `Lambda` layer.
        custom_objects: Classes and functions by name that the model has and Keras does not know.
        weights: The file of the weights of a `.json`.
        sample: Inputs that a subclassed model is built with which Keras could not build from the
            file: arrays by the names of the arguments of its `call`, or one array.
        say: Called with a line on what was converted, and on code that is run.

    Raises:
        UserError: If the file is missing, truncated or of another kind, has layers that are
            unknown, or code and no `trust`, or if the model does not have the file's weights or
            does not compute what Keras 2 computes.
    """
    imported = Imported(objects=dict(custom_objects or {}))
    loader = Loader(imported, trust=trust, sample=sample, say=say)
    return loader.load(_find_file(path), compile, None if weights is None else Path(weights))


def _find_file(path: str | Path) -> Path:
    path = presets.model_path(path) if str(path).startswith(presets.PREFIX) else Path(path)
    return Run.open(path).model_path if Run(path).started else path


def find_model(
    path: str | Path, loader: Loader | None = None, weights: Path | None = None
) -> tuple[Any, Run | None]:
    """Loads the model of a run folder, with its run, or of a model file or a preset.

    Args:
        path: The run folder, the file or the preset.
        loader: How files are loaded, where they need more than their path.
        weights: The file of the weights of a `.json`.

    Raises:
        UserError: If there is none, or it can't be read.
    """
    loader = loader or Loader(Imported())
    is_preset = str(path).startswith(presets.PREFIX)
    names_file = Path(path).exists() or Path(path).suffix
    if is_preset or (names_file and not Run(path).started):
        return loader.load(_find_file(path), weights=weights), None
    run = Run.open(path)
    return loader.load(run.model_path, compile=True, weights=weights), run


def load_initial(run: Run, init_from: str) -> Any:
    """Loads the model that a run begins with: `init_from`, or the copy that a started run has."""
    return find_model(run.initial_path if run.started else init_from)[0]
