"""Files of a folder that someone else made: opened inside it, and of a bounded size.

This module imports neither TensorFlow nor Keras: devices read bundles with it.
"""

from pathlib import Path
from typing import BinaryIO

from keras_seq import files
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
        return files.open_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing from the bundle. Copy the bundle again.") from None


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
