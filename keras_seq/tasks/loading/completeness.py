"""Compares the weights in a file with those of the model that was loaded from it.

Keras leaves a layer with random weights where it could not build it, and only warns.
"""

import hashlib
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_seq.errors import UserError
from keras_seq.keras2.files import is_by_layer, is_hdf5
from keras_seq.tasks.loading.capacity import WEIGHTS

# Parts of a file that are not the model's weights: what training needs, and random numbers.
LEFT_OUT = re.compile(r"(^|/)(_?optimizer|optimizer_weights|seed_generator|_?compile\w*|_metrics)/")
# Parts of a path that name no layer.
UNSPOKEN = re.compile(r"^(layers|vars|cell|\d+|_layer_checkpoint_dependencies|model_weights)$")
BUILD_IT = (
    "Keras could not build these layers from the file. Give the class a build() that builds its "
    "layers, or build_from_config(), and save it again; or give inputs to build it with: --sample "
    "FILE.npz"
)
SHOWN = 6  # names in a message

Digest = tuple[tuple[int, ...], str]


def require_all_weights(
    model: keras.Model, path: Path, name: Path | None = None, remedy: str = BUILD_IT
) -> None:
    """Checks that all weights in a file are in the model, and all of the model's came from it.

    Args:
        model: A model that Keras loaded.
        path: The `.keras` or `.h5` file.
        name: What the message calls the file.
        remedy: What to do, at the end of the message.

    Raises:
        UserError: If not; the message names the layers.
    """
    with tempfile.TemporaryDirectory() as folder:
        in_file = _read(path, Path(folder))
        if in_file is None:
            return
        missing, unknown = compare(in_file, _save(model, path, Path(folder)))
    if any(_loads_itself(layer) for layer in model._flatten_layers()):
        missing = []  # Such a class leaves out what it computes anew.
    if not missing and not unknown:
        return
    problems = []
    if missing:
        problems.append(f"the weights of {_list(missing)} are in the file, and not in the model")
    if unknown:
        problems.append(f"the weights of {_list(unknown)} are in the model, and not in the file")
    raise UserError(
        f"{name or path} was not loaded as it was saved: {'; '.join(problems)}. {remedy}"
    )


def _loads_itself(layer: Any) -> bool:
    """Returns whether a layer is of a class, not of Keras, that reads weights in its own way."""
    owner = next(kind for kind in type(layer).__mro__ if "load_own_variables" in vars(kind))
    return owner.__module__.split(".")[0] != "keras"


def compare(in_file: dict[str, Digest], in_model: dict[str, Digest]) -> tuple[list[str], list[str]]:
    """Returns the names in the file whose values are not in the model, and the other way round."""

    def leave_out(these: dict[str, Digest], others: dict[str, Digest]) -> list[str]:
        left = Counter(others.values())
        names = []
        for name, digest in these.items():
            if left[digest]:
                left[digest] -= 1
            else:
                names.append(name)
        return names

    return leave_out(in_file, in_model), leave_out(in_model, in_file)


def digest(array: Any) -> Digest:
    """Returns shape and hash of an array; a file may hold weights in half precision."""
    array = np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        array = array.astype("float32")
    return tuple(array.shape), hashlib.sha256(array.tobytes()).hexdigest()


def read_digests(path: Path) -> dict[str, Digest]:
    """Returns the digests of the weights in an HDF5 file by their paths."""
    import h5py

    def walk(group: Any, prefix: str) -> Iterator[tuple[str, Digest]]:
        for name, item in group.items():
            where = f"{prefix}{name}"
            if LEFT_OUT.search(f"{where}/"):
                continue
            if isinstance(item, h5py.Group):
                yield from walk(item, f"{where}/")
            else:
                yield where, digest(item[()])

    with h5py.File(path) as file:
        return dict(walk(file, ""))


def _read(path: Path, folder: Path) -> dict[str, Digest] | None:
    """Returns the digests in a file; None where it holds weights in another form."""
    if is_hdf5(path):
        return read_digests(path)
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS not in archive.namelist():
            return None
        return read_digests(Path(archive.extract(WEIGHTS, folder)))


def _save(model: keras.Model, path: Path, folder: Path) -> dict[str, Digest]:
    """Returns the digests that Keras writes of the model as it is now."""
    by_layer = is_hdf5(path) and is_by_layer(path)
    saved = folder / ("saved.h5" if by_layer else "saved.weights.h5")
    if by_layer:
        keras.saving.save_model(model, saved, include_optimizer=False)
    else:
        model.save_weights(saved)
    return read_digests(saved)


def _list(paths: list[str]) -> str:
    """Returns the layers in paths, each once."""
    names: dict[str, None] = {}
    for path in paths:
        parts = [part for part in path.split("/") if not UNSPOKEN.match(part)]
        parts = [part for part in parts if ":" not in part] or parts
        names.setdefault("/".join(dict.fromkeys(parts)) or "the model itself", None)
    shown = list(names)[:SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
