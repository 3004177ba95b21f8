"""Files of public data sets: from the user's folder, the cache, or a download with a known hash."""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from keras_seq.errors import UserError
from keras_seq.files import LARGEST_FILE, read_bytes

VARIABLE = "KERAS_SEQ_DATA"


@dataclass(frozen=True)
class RemoteFile:
    """A public file.

    Attributes:
        path: Path below the data folder, such as "sst2/train.tsv".
        url: Address of the download; "" where no address has exactly this content.
        sha256: Hash of the content; other content is refused.
    """

    path: str
    url: str
    sha256: str


def locate(file: RemoteFile, data_dir: str | Path | None = None) -> Path:
    """Returns the path of the local copy of `file`, which is downloaded at the first use.

    Looks in `data_dir`, then in the folder that KERAS_SEQ_DATA names, then in the cache.

    Raises:
        UserError: If there is no copy and no download, or its content is not the expected one.
    """
    cache = cache_folder()
    folders = [Path(f) for f in (data_dir, os.environ.get(VARIABLE)) if f]
    for folder in (*folders, cache):
        path = folder / file.path
        if path.is_file():
            return _verify_content(path, read_bytes(path), file)
    searched = ", ".join(str(folder / file.path) for folder in (*folders, cache))
    missing = f"{file.path} is not on this machine (searched: {searched})"
    remedy = f"Put the file into a folder and name that with --data-dir or {VARIABLE}."
    if not file.url:
        raise UserError(f"{missing} and has no download. {remedy}")
    try:
        with urllib.request.urlopen(file.url, timeout=60) as response:
            content = response.read(LARGEST_FILE)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"{missing} and {file.url} cannot be downloaded: {error}. {remedy}"
        ) from error
    path = _verify_content(cache / file.path, content, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as partial:
        partial.write(content)
    os.replace(partial.name, path)
    return path


def cache_folder() -> Path:
    """Returns the folder of downloads and tokenised texts; XDG_CACHE_HOME moves it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keras-seq"


def _verify_content(path: Path, content: bytes, file: RemoteFile) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise UserError(
            f"{path}: the content is not that of the public file {file.url or file.path} "
            f"(SHA-256 {digest}, expected {file.sha256}). Remove this copy."
        )
    return path
