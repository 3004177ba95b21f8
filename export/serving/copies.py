"""Copies of bundles that the server opens, so that nobody changes what it serves.

onnxruntime maps weights into memory. Where a file is cut in place, the next request would end the
process, and one that is written over would give other answers. So the server opens copies of its
own, verified while they are made. A copy has no name once it is open: nobody finds it, the system
frees it when the server ends, however it ends, and it takes no memory but what the file would.
"""

import os
import tempfile
from pathlib import Path

from export import bundle
from export.runtime import LoadedBundle
from export.runtime.loaded import open_variant
from keras_seq.errors import UserError

FORMAT, PRECISION = "onnx", "float32"
DISK = Path("/var/tmp")  # /tmp is memory on many machines.


def open_copy(path: Path, threads: int, cache_dir: Path | None = None) -> LoadedBundle:
    """Opens a copy of a bundle's ONNX files, all of them.

    Args:
        path: Folder of the bundle.
        threads: Threads of each call.
        cache_dir: Where the copy lies while it is used; see `choose_cache_dir`.

    Raises:
        UserError: If the bundle is damaged or has no ONNX files, or there is no room for a copy.
    """
    manifest = bundle.read_manifest(path)
    variant = bundle.require_variant(path, manifest, FORMAT, PRECISION)
    parent = choose_cache_dir() if cache_dir is None else cache_dir
    try:
        folder = tempfile.TemporaryDirectory(prefix="keras-seq-serve-", dir=parent)
    except OSError as error:
        raise _refuse_folder(parent, error, variant["bytes"]) from error
    with folder as name:
        for file in variant["files"]:
            try:
                bundle.copy_listed(path, manifest, file, Path(name) / file)
            except OSError as error:
                raise _refuse_folder(parent, error, variant["bytes"]) from error
        loaded = open_variant(path, manifest, variant, threads, folder=Path(name))
        loaded.open_all()
    return loaded


def choose_cache_dir() -> Path:
    """Returns the folder of copies by default: `TMPDIR`, or the system's for files on a disk."""
    if not os.environ.get("TMPDIR") and os.access(DISK, os.W_OK | os.X_OK):
        return DISK
    return Path(tempfile.gettempdir())


def _refuse_folder(parent: Path, error: OSError, size: int) -> UserError:
    return UserError(
        f"The server opens a copy of the bundle, {size:,} bytes, which cannot be made in {parent}: "
        f"{error.strerror or error}. Name another folder: --cache-dir FOLDER"
    )
