"""A file, a folder or a JSON of Keras 2 as a `tf_keras` model."""

import contextlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_seq.keras2.configs import find_tables, modernize, name_functions, walk, walk_layers
from keras_seq.keras2.custom import is_model_of_layers
from keras_seq.keras2.operators import OPERATORS, require_allowed

CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")
FIRST_MASKED_ATTENTION = [2, 10]
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_text(value: Any) -> str:
    """Returns an attribute of an HDF5 file as text: it may be bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def is_hdf5(path: Path) -> bool:
    """Returns whether a file begins as HDF5 does, whatever it is called."""
    with path.open("rb") as file:
        return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def is_by_layer(path: Path) -> bool:
    """Returns whether an HDF5 file lists weights by layer, as Keras did until 2.12 and in `.h5`."""
    import h5py

    with h5py.File(path) as file:
        return "layer_names" in file.attrs or "model_weights" in file


def read_config(path: Path) -> dict[str, Any] | None:
    """Returns the configuration of the model in a `.keras` file, an `.h5` file or a JSON.

    None where an `.h5` file holds weights alone.
    """
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8"))
    if not is_hdf5(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    import h5py

    with h5py.File(path) as file:
        config = file.attrs.get("model_config")
        return None if config is None else json.loads(read_text(config))


def read_version(path: Path) -> str:
    """Returns the version of Keras that wrote a `.keras` file, an `.h5` file or a JSON.

    The first versions wrote none, which is "1".
    """
    if path.suffix == ".json":
        config = json.loads(path.read_text("utf-8"))
        # Keras 3 writes a module beside each class, and no version.
        return str(config.get("keras_version", "3" if "module" in config else "1"))
    if not is_hdf5(path):
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    import h5py

    with h5py.File(path) as file:
        inside = file.get("model_weights", file)
        attributes = file.attrs if "keras_version" in file.attrs else inside.attrs
        return read_text(attributes.get("keras_version", "1"))


def read_backend(path: Path) -> str:
    """Returns what Keras computed with when it wrote an HDF5 file."""
    import h5py

    if not is_hdf5(path):
        return "tensorflow"
    with h5py.File(path) as file:
        inside = file.get("model_weights", file)
        return read_text(inside.attrs.get("backend", "tensorflow"))


def read_saved_model(path: Path) -> tuple[dict[str, Any] | None, str]:
    """Returns the configuration of the Keras model in a SavedModel, and the version of Keras.

    None where there is no Keras model.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    metadata = ""
    keras_metadata = path / "keras_metadata.pb"
    if keras_metadata.is_file():
        from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

        nodes = SavedMetadata.FromString(keras_metadata.read_bytes()).nodes
        metadata = next((node.metadata for node in nodes if node.node_path == "root"), "")
    else:  # until TensorFlow 2.4
        graphs = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs
        nodes = graphs[0].object_graph_def.nodes if graphs else []
        if nodes and nodes[0].HasField("user_object"):
            metadata = nodes[0].user_object.metadata
    described = json.loads(metadata) if metadata else {}
    version = str(described.get("keras_version", "2"))
    config, settings = described.get("model_config"), described.get("config")
    if config is None and isinstance(settings, dict) and settings.get("layers"):
        config = {"class_name": described["class_name"], "config": settings}
    return config, version


def read_model(
    path: Path,
    config: dict[str, Any],
    custom_objects: Mapping[str, Any],
    weights: Path | None = None,
    trust: bool = False,
    version: str = "2",
) -> Any:
    """Returns the `tf_keras` model in a file, a SavedModel folder or a JSON.

    No graph of a SavedModel is run, unless it holds a vocabulary: the model is built from its
    configuration, and its weights are read by name.

    Args:
        path: What holds the model.
        config: Its configuration, as in the file.
        custom_objects: Classes and functions by name, as `custom.adapt` returns them.
        weights: The file of the weights of a JSON.
        trust: Run the Python code in the file.
        version: The version of Keras that wrote it.
    """
    import tf_keras

    config = modernize(config)
    if is_model_of_layers(custom_objects.get(config["class_name"])):
        config["class_name"] = "Functional"
    custom_objects = _name_as_in_file(config, custom_objects)
    if trust:
        _name_what_code_uses(custom_objects)
    scope = tf_keras.saving.custom_object_scope(dict(custom_objects))
    with scope, _safe_mode(not trust), one_implementation(), _attention_of(version):
        if path.is_file() and path.suffix != ".json" and not is_hdf5(path):
            with _write_config(path, config) as current:
                return tf_keras.models.load_model(current, compile=False, safe_mode=not trust)
        if path.is_dir() and find_tables(config):
            return tf_keras.models.load_model(path, compile=False)
        model = _build(config, custom_objects)
        if path.is_dir():
            status = model.load_weights(path / "variables" / "variables")
            status.assert_existing_objects_matched().expect_partial()
        else:
            load_weights(model, weights or path)
            if read_backend(weights or path) == "theano":
                _flip_kernels(model)
        return model


def _name_what_code_uses(custom_objects: Mapping[str, Any]) -> None:
    """Gives the code of a `Lambda` what it is likely to use: its file holds no imports."""
    import tf_keras
    from tf_keras.src.layers.core import lambda_layer

    vars(lambda_layer).update({"K": tf_keras.backend, "keras": tf_keras, **custom_objects})


def _flip_kernels(model: Any) -> None:
    """Turns the kernels of convolutions round: Theano walked them from the end."""
    for layer in model._flatten_layers():
        if type(layer).__name__ in CONVOLUTIONS:
            values = layer.get_weights()
            for place, value in enumerate(values):
                if value.ndim > 2:
                    values[place] = np.flip(value, tuple(range(value.ndim - 2)))
            layer.set_weights(values)


def _name_as_in_file(config: dict[str, Any], custom_objects: Mapping[str, Any]) -> dict[str, Any]:
    """Returns custom objects under the names that a file has for them, such as "Package>Name".

    Raises:
        ValueError: If a class or a function is neither among them nor one of Keras 2.
        UserError: If an operator does more than compute.
    """
    import tf_keras
    from tf_keras.src.layers import serialization

    serialization.populate_deserializable_objects()
    named = dict(custom_objects)
    for item in walk_layers(config):
        name = item.get("registered_name") or item["class_name"]
        short = name.rpartition(">")[2]
        if short in custom_objects:
            named[name] = custom_objects[short]
        elif item["class_name"] not in serialization.LOCAL.ALL_OBJECTS:
            raise ValueError(f"Unknown layer: {short!r}")
        elif item["class_name"] in OPERATORS:
            require_allowed(item["config"]["function"], item["config"]["name"])
    for item in walk(config):
        name = item.get("config")
        if item["class_name"] == "function" and isinstance(name, str):
            short = name.rpartition(">")[2]
            if short in custom_objects:
                named[name] = custom_objects[short]
            elif not hasattr(tf_keras.activations, short):
                raise ValueError(f"Unknown function: {short!r}")
    return named


def _build(config: dict[str, Any], custom_objects: Mapping[str, Any]) -> Any:
    import tf_keras
    from tf_keras.src.saving.legacy.saved_model import json_utils

    if "module" in config:
        return tf_keras.saving.deserialize_keras_object(config)
    config = name_functions(config)
    config = json_utils.decode(json.dumps(config))  # tuples and shapes, which JSON does not have
    return tf_keras.models.model_from_config(config, custom_objects=dict(custom_objects))


@contextlib.contextmanager
def _safe_mode(on: bool) -> Iterator[None]:
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    with SafeModeScope(on):
        yield


@contextlib.contextmanager
def _attention_of(version: str) -> Iterator[None]:
    """Inside, `MultiHeadAttention` sees masks as in that version: until 2.9 it saw none."""
    import tf_keras

    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    attention = tf_keras.layers.MultiHeadAttention
    before = attention.__init__

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        before(self, *args, **kwargs)
        self.supports_masking = False
        self._compute_attention_mask = _take_attention_mask

    if len(numbers) == 2 and numbers < FIRST_MASKED_ATTENTION:
        attention.__init__ = make
    try:
        yield
    finally:
        attention.__init__ = before


def _take_attention_mask(
    query: Any, value: Any, key: Any = None, attention_mask: Any = None, **others: Any
) -> Any:
    return attention_mask


@contextlib.contextmanager
def one_implementation() -> Iterator[None]:
    """Inside, Keras 2 traces the loop of an LSTM or GRU for any device, and not for cuDNN, too.

    That takes it ten times as long.
    """
    import tf_keras

    before = {kind: kind.build for kind in (tf_keras.layers.LSTM, tf_keras.layers.GRU)}

    def build(self: Any, input_shape: Any) -> None:
        self._could_use_gpu_kernel = False
        next(before[kind] for kind in type(self).__mro__ if kind in before)(self, input_shape)

    for kind in before:
        kind.build = build
    try:
        yield
    finally:
        for kind, method in before.items():
            kind.build = method


@contextlib.contextmanager
def _write_config(path: Path, config: dict[str, Any]) -> Iterator[Path]:
    """Inside, a copy of a `.keras` file with another configuration."""
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "model.keras"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(current, "w") as new:
            for name in old.namelist():
                content = old.read(name) if name != "config.json" else json.dumps(config).encode()
                new.writestr(name, content)
        yield current


def load_weights(model: Any, path: Path) -> None:
    """Loads the weights in an HDF5 file, or in a TensorFlow checkpoint, into a `tf_keras` model."""
    if not path.is_file() or not is_hdf5(path):
        model.load_weights(path.with_suffix("") if path.suffix == ".index" else path)
        return
    by_layer = is_by_layer(path)
    # Keras 2 goes by the name: ".weights.h5" has another layout since 2.12.
    if by_layer != path.name.endswith(".weights.h5"):
        model.load_weights(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        name = "model.h5" if by_layer else "model.weights.h5"
        model.load_weights(shutil.copy(path, Path(folder) / name))
