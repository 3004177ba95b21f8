"""Arrays in `.npz` files that anybody may have written."""

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from keras_seq.errors import UserError
from keras_seq.files import open_file

# Zeros compress a thousand times; what takes more than this in memory has to be in the file.
SMALL_BYTES, LARGEST_RATIO = 2**28, 64


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the arrays in an `.npz` file by their names.

    Nothing in the file is run, and no more memory is taken than the file can fill.

    Raises:
        UserError: If it is no such file, is damaged, holds Python objects, or would unpack to far
            more than its own size.
    """
    try:
        with open_file(path) as file:
            _require_honest(path, file.seek(0, 2), zipfile.ZipFile(file))
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except UserError:
        raise
    except (
        OSError,
        ValueError,
        AttributeError,
        TypeError,
        EOFError,
        KeyError,
        MemoryError,
        RuntimeError,
        SyntaxError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"{path} cannot be read as an .npz file: {error}") from error


def _require_honest(path: str | Path, size: int, archive: zipfile.ZipFile) -> None:
    """Raises UserError if the arrays in an archive are said to be larger than it can hold."""
    total = 0
    with archive:
        for member in archive.infolist():
            with archive.open(member) as array:
                total += max(member.file_size, _read_size(array))
    if total > max(SMALL_BYTES, LARGEST_RATIO * size):
        raise UserError(
            f"{path} has {size:,} bytes, and its arrays would take {total:,}. It is damaged, or "
            "was made to fill the memory."
        )


def _read_size(file: zipfile.ZipExtFile) -> int:
    """Returns the bytes that the header of an array announces."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"An array of the version {version} is not known.")
    shape, _, kind = read(file)
    return math.prod(shape) * kind.itemsize
