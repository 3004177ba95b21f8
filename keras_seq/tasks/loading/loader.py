"""Loads Keras models of any version from files."""

import contextlib
import inspect
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from keras_seq.console import print_status
from keras_seq.errors import UserError, quote_error
from keras_seq.files import refuse_stream
from keras_seq.installation import explain_missing
from keras_seq.keras2 import files as keras2_files
from keras_seq.keras2.configs import find_code, find_tables
from keras_seq.messages import hide_messages
from keras_seq.tasks.configuration import validate_config
from keras_seq.tasks.loading.capacity import WEIGHTS, Capacity, limit_weights, measure_weights
from keras_seq.tasks.loading.completeness import require_all_weights
from keras_seq.tasks.loading.errors import explain_errors
from keras_seq.tasks.loading.files import ModelFile, explain_weights, identify
from keras_seq.tasks.loading.imports import Imported
from keras_seq.tasks.registry import import_models
from keras_seq.tasks.upgrade import upgrade_file

Say = Callable[[str], None]


class Loader:
    """Loads Keras models from files.

    Args:
        imported: Classes and functions of the user's.
        trust: Run code in a file.
        sample: Inputs to build a subclassed model with.
        say: Called with a line on what is done.
    """

    def __init__(
        self,
        imported: Imported,
        trust: bool = False,
        sample: Any = None,
        say: Say = print_status,
    ) -> None:
        self._imported = imported
        self._trust = trust
        self._sample = sample
        self._say = say
        self._old: Any = None  # the model of Keras 2 that was converted

    def load(self, path: Path, compile: bool = False, weights: Path | None = None) -> keras.Model:
        """Loads the model in a file; see `load_model`."""
        kind = identify(path)
        if weights is not None:
            refuse_stream(weights)
        import_models()
        if weights is not None and kind is not ModelFile.JSON:
            raise UserError(
                f"{path} holds weights, too. --weights FILE is for the .json of a model's layers, "
                "and for a function that builds the model."
            )
        with explain_errors(path, self._imported):
            if kind is ModelFile.SAVED_MODEL:
                return self._load_saved_model(path)
            capacity = None if kind is ModelFile.JSON else measure_weights(path)
            config = keras2_files.read_config(path)
            if config is None:
                raise UserError(f"{path} holds weights alone, no model. {explain_weights(path)}")
            version = keras2_files.read_version(path)
            self._check_code(path, config)
            if kind is ModelFile.JSON:
                weights = weights or _find_weights(path)
                capacity = measure_weights(weights) if keras2_files.is_hdf5(weights) else None
            if version.startswith("3"):
                if capacity is not None:
                    _validate(path, config, capacity)
                with limit_weights(capacity, path):
                    return self._load_keras3(path, kind, config, compile, weights)
            return self._load_keras2(path, config, version, weights)

    @property
    def builds(self) -> bool:
        """Whether a function of the user's builds the model."""
        return self._imported.build is not None

    def build(self, weights: Path | None = None) -> keras.Model:
        """Returns the model that the user's function builds, with weights from a file.

        Raises:
            UserError: If the function fails, or the weights are not the model's.
        """
        try:
            model = self._imported.build()
        except Exception as error:
            raise UserError(
                f"The function {self._imported.build.__name__} in {self._imported.sources[-1]} "
                f"fails: {type(error).__name__}: {quote_error(error)}. It is called without "
                "arguments, and returns the model."
            ) from error
        if not isinstance(model, keras.Model) and not _is_keras2(model):
            raise UserError(
                f"The function {self._imported.build.__name__} in {self._imported.sources[-1]} "
                f"returns {type(model).__name__}, not a Keras model."
            )
        if weights is not None and not weights.exists():
            raise UserError(f"{weights} does not exist.")
        if weights is not None:
            refuse_stream(weights)
        with explain_errors(weights or Path(self._imported.sources[-1]), self._imported):
            if _is_keras2(model):
                if weights is not None:
                    keras2_files.load_weights(model, weights)
                return self._convert(model, "2")
            if weights is not None:
                self._load_weights(model, weights)
        return model

    def verify(self, path: Path) -> None:
        """Loads a file that the model was saved to, and compares it once more with Keras 2.

        Raises:
            UserError: If the file can't be loaded, or answers differently.
        """
        from keras_seq.keras2.proof import prove

        with explain_errors(path, self._imported):
            model = keras.saving.load_model(
                path, custom_objects=self._imported.objects, compile=False, safe_mode=False
            )
            require_all_weights(model, path)
            if self._old is not None:
                prove(self._old, model)

    def _load_weights(self, model: keras.Model, weights: Path) -> None:
        if not model.built and self._sample is not None:
            _call_with_sample(model, self._sample)
        with _keras_file_name(weights) as named:
            model.load_weights(named)
            if named.name.endswith(".weights.h5"):
                remedy = "Build the model that these weights are of."
                require_all_weights(model, named, weights, remedy)

    def _check_code(self, path: Path, config: dict[str, Any]) -> None:
        """Refuses a file that holds code, or says what is run.

        Raises:
            UserError: If there is code, and no `trust`.
        """
        names = find_code(config)
        if not names:
            return
        layers = f"the layer{'s' if len(names) > 1 else ''} {', '.join(names)}"
        if not self._trust:
            raise UserError(
                f"{path} has Python code inside: {layers}. Code from a file can do anything on "
                "your computer. If you know who made the file, run it: --trust"
            )
        self._say(f"Running the Python code inside {path}: {layers}")

    def _load_keras3(
        self,
        path: Path,
        kind: ModelFile,
        config: dict[str, Any],
        compile: bool,
        weights: Path | None,
    ) -> keras.Model:
        objects = self._imported.objects
        if kind is ModelFile.JSON:
            with keras.saving.custom_object_scope(objects):
                model = keras.saving.deserialize_keras_object(config, safe_mode=not self._trust)
            self._load_weights(model, weights)
            return model
        options = {"custom_objects": objects, "compile": compile, "safe_mode": not self._trust}
        if kind is ModelFile.HDF5:
            return self._load_hdf5(path, options)
        with _keras_file_name(path) as named, upgrade_file(named) as current:
            with _hide_warnings():
                model = keras.saving.load_model(current, **options)
            if self._sample is not None:
                _build_again(model, current, self._sample)
            require_all_weights(model, current, path)
        return model

    def _load_hdf5(self, path: Path, options: dict[str, Any]) -> keras.Model:
        with _keras_file_name(path) as named:
            try:
                model = keras.saving.load_model(named, **options)
            except ValueError:
                if not options["compile"]:
                    raise
                # Keras 3 does not read all losses and metrics that it writes into these files.
                model = keras.saving.load_model(named, **{**options, "compile": False})
                self._say(f"{path} is loaded without loss, optimizer and metrics.")
        require_all_weights(model, path)
        return model

    def _load_saved_model(self, path: Path) -> keras.Model:
        with _require_keras2():
            config, version = keras2_files.read_saved_model(path)
        if config is not None and not config["config"].get("layers"):
            raise UserError(
                f"{path} is a SavedModel of the class {config['class_name']}, whose layers are "
                "called by its own code. Write the class for Keras 3, build it and set its weights "
                "in Python, and export that: export.export(model, …)"
            )
        if config is None:
            raise UserError(
                f"{path} is a SavedModel of functions, without the layers of a Keras model: "
                "model.export() wrote it, or the model is of a class of its own. Name the .keras "
                "file that it was made of."
            )
        self._check_code(path, config)
        tables = find_tables(config)
        if tables and not self._trust:
            raise UserError(
                f"{path} keeps the vocabulary of {', '.join(tables)} in a graph that would have to "
                "be run. If you know who made the file, run it: --trust. Or save the model where "
                "it was made as a .keras file: model.save('model.keras')"
            )
        return self._load_keras2(path, config, version, None)

    def _load_keras2(
        self, path: Path, config: dict[str, Any], version: str, weights: Path | None
    ) -> keras.Model:
        if version.startswith("1"):
            raise UserError(
                f"{path} was written by Keras {version}. Open it in Keras 2.0 to 2.2, which reads "
                "it, and save it there: model.save('model.h5')"
            )
        from keras_seq.keras2.custom import adapt

        with _require_keras2(), hide_messages("tensorflow", "absl"):
            old = keras2_files.read_model(
                path, config, adapt(self._imported.objects), weights, self._trust, version
            )
        return self._convert(old, version)

    def _convert(self, old: Any, version: str) -> keras.Model:
        """Returns the Keras 3 model of one of Keras 2, which answers the same."""
        from keras_seq.keras2.convert import convert_model
        from keras_seq.keras2.proof import prove

        if keras.backend.backend() != "tensorflow":
            raise UserError(
                "A model of Keras 2 is converted with TensorFlow. Set KERAS_BACKEND=tensorflow."
            )
        with hide_messages("tensorflow", "absl"):
            new = convert_model(old, self._imported.objects)
            gap = prove(old, new)
        self._old = old
        self._say(f"Converted from Keras {version}: its answers differ by at most {gap:.1e}.")
        return new


def _validate(path: Path, config: dict[str, Any], capacity: Capacity) -> None:
    """Raises UserError if a setting of a class of ours can't be, or is beyond a file's weights."""
    try:
        validate_config(config, capacity.arrays, capacity.largest)
    except UserError as error:
        raise UserError(
            f"{path} is damaged: {error.args[0]}. Copy it again, or save the model again."
        ) from None


def _find_weights(path: Path) -> Path:
    """Returns the file of the weights beside a `.json`.

    Raises:
        UserError: If there is none, or several.
    """
    names = [f"{path.stem}{ending}" for ending in (".weights.h5", ".h5", "_weights.h5")]
    beside = [path.with_name(name) for name in names if path.with_name(name).is_file()]
    beside = beside or sorted(path.parent.glob("*.h5"))
    if len(beside) != 1:
        found = f"Beside it are: {', '.join(f.name for f in beside)}. " if beside else ""
        raise UserError(
            f"{path} holds the layers of a model without weights. {found}Name the file of the "
            "weights: --weights FILE"
        )
    return beside[0]


@contextlib.contextmanager
def _keras_file_name(path: Path) -> Iterator[Path]:
    """Inside, the path of a file as Keras 3 wants it named: it goes by the ending."""
    if not path.is_file():
        yield path
        return
    if not keras2_files.is_hdf5(path):
        name = "model.keras" if zipfile.is_zipfile(path) else path.name
    else:
        name = "model.h5" if keras2_files.is_by_layer(path) else "model.weights.h5"
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / name
        named.symlink_to(path.resolve())
        yield named


def _build_again(model: keras.Model, path: Path, sample: Any) -> None:
    """Calls a model that Keras could not build from its file, and loads the weights again."""
    try:
        require_all_weights(model, path)
    except UserError:
        _call_with_sample(model, sample)
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            model.load_weights(archive.extract(WEIGHTS, folder))


def _call_with_sample(model: keras.Model, sample: Any) -> None:
    """Calls a model once with a row of a sample, so that its layers have weights."""
    if not isinstance(sample, Mapping):
        model(sample[:1])
        return
    rows = {name: array[:1] for name, array in sample.items()}
    parameters = inspect.signature(model.call).parameters
    if set(rows) <= set(parameters):
        model(**rows)
    elif len(rows) == 1:
        model(next(iter(rows.values())))
    else:
        model(rows)


@contextlib.contextmanager
def _hide_warnings() -> Iterator[None]:
    """Hides that Keras could not build a model: this is checked afterwards."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*could not be built.*")
        warnings.filterwarnings("ignore", message=".*cannot be built.*")
        yield


@contextlib.contextmanager
def _require_keras2() -> Iterator[None]:
    """Explains how to install what reads Keras 2, where it is missing."""
    try:
        import tf_keras  # noqa: F401

        yield
    except ModuleNotFoundError as error:
        raise explain_missing(error) from error


def _is_keras2(model: Any) -> bool:
    """Returns whether a model is one of `tf_keras`, without importing it."""
    return any(
        kind.__module__.split(".")[0] == "tf_keras" and kind.__name__ == "Model"
        for kind in type(model).__mro__
    )
