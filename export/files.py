"""Files of a folder that someone else made: opened inside it, regular, and of a bounded size.

This module imports neither TensorFlow nor Keras: devices read bundles with it.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from keras_seq.errors import UserError


def open_file(folder: str | Path, name: str) -> BinaryIO:
    """Opens a file of a folder to read.

    A link is followed inside the folder only. A pipe or a device is not waited for.

    Args:
        folder: The folder.
        name: Path of the file in it, with `/`.

    Raises:
        UserError: If it is missing, leads outside the folder, or is not a regular file.
    """
    folder = Path(folder)
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL
        inside = False
    if not inside:
        raise UserError(f"{folder}: {name!r} is outside the bundle. Refused: copy the files in.")
    try:
        # Without O_NONBLOCK, opening a pipe waits for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} is missing from the bundle. Copy the bundle again.") from None
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        raise _refuse_irregular(path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refuse_irregular(path)
    return os.fdopen(descriptor, "rb")


def _refuse_irregular(path: Path) -> UserError:
    return UserError(
        f"{path} is not a regular file: a folder, a pipe or a device. Copy the bundle again."
    )


def read_file(folder: str | Path, name: str, limit: int) -> bytes:
    """Returns the content of a file of a folder; see `open_file`.

    Raises:
        UserError: If it has more than `limit` bytes, or cannot be opened.
    """
    with open_file(folder, name) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UserError(
            f"{Path(folder) / name} is larger than the {limit:,} bytes that are read of it. Export "
            "the bundle again."
        )
    return content
