"""What the weights in a file are, before any is read: they bound the model built from it."""

import contextlib
import math
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_seq.errors import UserError
from keras_seq.files import LARGEST_JSON
from keras_seq.keras2.files import is_hdf5

WEIGHTS = "model.weights.h5"
# Weights compress little: what unpacks to much more than the file was made to fill the memory.
UNPACKED_BYTES, UNPACKED_RATIO = 2**28, 64
DEEPEST = 100  # groups in groups
# Layers may have weights that are computed, and not in the file.
COMPUTED_ELEMENTS, COMPUTED_RATIO = 2**24, 4


@dataclass(frozen=True)
class Capacity:
    """The arrays in a file.

    Attributes:
        arrays: How many there are.
        elements: Number of all their elements.
        largest: The largest size of a dimension.
    """

    arrays: int = 0
    elements: int = 0
    largest: int = 0


def measure_weights(path: Path, name: Path | None = None) -> Capacity | None:
    """Returns what the weights in a `.keras` or HDF5 file are; None where it has none in HDF5.

    Args:
        path: The file.
        name: What messages call it.

    Raises:
        UserError: If it unpacks to far more than its own size, or its weights are in other files.
    """
    name = name or path
    if is_hdf5(path):
        return _measure(path, name)
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        _require_honest(name, path.stat().st_size, sum(i.file_size for i in archive.infolist()))
        for member in archive.infolist():
            if member.filename.endswith(".json") and member.file_size > LARGEST_JSON:
                raise UserError(
                    f"{name}: {member.filename} in it has {member.file_size:,} bytes, and "
                    f"{LARGEST_JSON:,} are read at most."
                )
        if WEIGHTS not in archive.namelist():
            return None
        return _measure(Path(archive.extract(WEIGHTS, folder)), name)


def _require_honest(name: Path, size: int, unpacked: int) -> None:
    if unpacked > max(UNPACKED_BYTES, UNPACKED_RATIO * size):
        raise UserError(
            f"{name} has {size:,} bytes and would unpack to {unpacked:,}. It is damaged, or was "
            "made to fill the memory."
        )


def _measure(path: Path, name: Path) -> Capacity:
    import h5py

    with h5py.File(path) as file:
        arrays = [*_walk(file, name, set(), 0)]
    _require_honest(name, path.stat().st_size, sum(size for _, size in arrays))
    shapes = [shape for shape, _ in arrays]
    return Capacity(
        len(shapes),
        sum(map(math.prod, shapes)),
        max((size for shape in shapes for size in shape), default=0),
    )


def _walk(
    group: Any, name: Path, seen: set[int], depth: int
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yields shape and bytes of each array in a group, and in the groups in it."""
    import h5py

    if depth > DEEPEST:
        raise UserError(f"{name} has more than {DEEPEST} groups of weights in each other.")
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise UserError(
                f"{name}: the weights {group.name}/{key} are a link to another place. Save the "
                "model again: model.save('model.keras')"
            )
        item = group[key]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise UserError(f"{name}: the weights {group.name}/{key} are in the file twice.")
        seen.add(address)
        if isinstance(item, h5py.Group):
            yield from _walk(item, name, seen, depth + 1)
        elif isinstance(item, h5py.Dataset) and item.shape is not None:
            if item.external or item.is_virtual:
                raise UserError(f"{name}: the weights {item.name} are in another file.")
            yield tuple(item.shape), math.prod(item.shape) * item.dtype.itemsize


@contextlib.contextmanager
def limit_weights(capacity: Capacity | None, name: Path) -> Iterator[None]:
    """Inside, layers of Keras may not add more weights than a file can fill.

    Args:
        capacity: What the file holds; None sets no limit.
        name: What the message calls the file.

    Raises:
        UserError: If they would, before the memory is taken.
    """
    if capacity is None:
        yield
        return
    before = keras.layers.Layer.add_weight
    left = COMPUTED_RATIO * capacity.elements + COMPUTED_ELEMENTS

    def add_weight(self: Any, shape: Any = None, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        sizes = [shape] if isinstance(shape, int) else shape or ()
        if all(isinstance(size, int) for size in sizes):
            left -= math.prod(sizes)
            if left < 0:
                raise UserError(
                    f"{name} describes a larger model than it holds: {capacity.elements:,} weights "
                    f"are in it, and the layer {self.name!r} alone asks for the shape "
                    f"{list(sizes)}. Save the model again."
                )
        return before(self, shape, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = before
