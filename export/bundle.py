"""The layout, manifest and hashes of a bundle: one folder that is all a device or a server needs.

    BUNDLE/
      manifest.json       the contract; see docs/reference/bundle.md
      tokenizer.json      the Hugging Face tokenizers format
      parity.npz          random inputs and Keras's answers, to check any copy of the bundle
      README.md           a model card
      saved_model/  tflite/model.tflite  onnx/*.onnx

This module imports neither TensorFlow nor Keras: devices read bundles with it.
"""

import contextlib
import copy
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from export.files import open_file, read_file
from export.manifest import (
    CARD,
    MANIFEST,
    MAX_BYTES,
    OPTIONAL,
    PARITY,
    SCHEMA_VERSION,
    TOKENIZER,
    ManifestError,
    check_manifest,
    parse_manifest,
)
from export.schema_1 import upgrade_manifest
from keras_seq.console import CONTROLS
from keras_seq.errors import UserError, choose_wording, describe

__all__ = ["CARD", "MANIFEST", "PARITY", "TOKENIZER"]

ABANDONED_AFTER_SECONDS = 3600
PART_BYTES = 1 << 20
# What tells a folder of ours: a bundle's and a run's files with their keys, and those for KServe
# and Triton.
OWN_KEYS = {MANIFEST: "schema_version", "config.json": "task"}
OWN_FILES = ("inference-service.yaml", "*/config.pbtxt")


@contextlib.contextmanager
def new_folder(output: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Gives a folder to write into, which becomes `output` if the `with` block ends without error.

    Until then `output` stays as it was; so it does after an error, Ctrl-C or a full disk.

    Raises:
        UserError: If `output` is a file, or a folder that is not empty and `overwrite` is False.
    """
    output = Path(output).absolute()
    refuse_existing(output, overwrite)
    output.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{output.name}.partial-"
    for abandoned in output.parent.glob(f"{prefix}*"):
        _clean_up(abandoned, output)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=output.parent))
    try:
        folder = partial / "new"
        folder.mkdir()
        yield folder
        if output.exists():
            os.rename(output, partial / "old")
        try:
            os.rename(folder, output)
        except OSError:
            if (partial / "old").exists():
                os.rename(partial / "old", output)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clean_up(abandoned: Path, output: Path) -> None:
    """Restores or removes what a killed process left behind."""
    if (abandoned / "old").exists() and not output.exists():
        os.rename(abandoned / "old", output)
    # A younger one may belong to a running process.
    if time.time() - abandoned.stat().st_mtime > ABANDONED_AFTER_SECONDS:
        shutil.rmtree(abandoned, ignore_errors=True)


def refuse_existing(output: str | Path, overwrite: bool) -> None:
    """Raises UserError if `output` stands in the way of a new folder.

    Only a folder that was made here is replaced, never one that holds other files.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file. Name a folder for the output.")
    if not output.is_dir() or not any(output.iterdir()):
        return
    if not overwrite:
        raise UserError(
            f"{output} exists and is not empty. Name another folder, or replace it: --overwrite."
        )
    is_ours = _is_ours(output)
    if not is_ours or Path.cwd().is_relative_to(output.resolve()):
        raise UserError(
            f"{output.resolve()} would be deleted, and it is "
            + ("where you work. " if is_ours else "no bundle: it holds files of yours. ")
            + "Name a folder for the output."
        )


def _is_ours(folder: Path) -> bool:
    """Returns whether a folder was made by a command of this project."""
    for name, key in OWN_KEYS.items():
        with contextlib.suppress(OSError, ValueError):
            content = parse_manifest(read_file(folder, name, MAX_BYTES))
            if isinstance(content, dict) and key in content:
                return True
    return any(any(folder.glob(name)) for name in OWN_FILES)


# Hashes of the manifests that this process has written: what it exported itself it trusts.
_written: set[str] = set()


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Writes `manifest.json` with the size and SHA-256 of every other file, and its own SHA-256.

    Raises:
        UserError: If the manifest would say what none may say, or a text in it has control
            characters: whoever prints it would send them to a terminal.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        **content,
        "files": {
            path.relative_to(folder).as_posix(): {
                "sha256": hash_file(path),
                "bytes": path.stat().st_size,
            }
            for path in files
        },
    }
    require_plain(manifest)
    manifest["sha256"] = hash_manifest(manifest)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    try:
        check_manifest(parse_manifest(text.encode("utf-8")))
    except ManifestError as error:
        raise UserError(f"The bundle cannot be described in {MANIFEST}: {error}.") from error
    (folder / MANIFEST).write_text(text, "utf-8")
    _written.add(manifest["sha256"])


def require_plain(value: Any, place: str = "") -> None:
    """Checks that JSON holds a value of the caller's, and a terminal prints it as it is.

    Args:
        value: The value.
        place: What it is, for the message.

    Raises:
        UserError: Naming the part that does not.
    """
    if isinstance(value, Mapping):
        for key, part in value.items():
            require_plain(str(key), f"a key of {place}" if place else "a key")
            require_plain(part, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            require_plain(part, f"{place}[{i}]")
    elif isinstance(value, str):
        if control := CONTROLS.search(value):
            raise UserError(
                f"{place!a} has the control character {control[0]!a}, which a terminal "
                f"would obey. Received: {ascii(value)[:80]}. Change the text, such as a label, "
                "before the model is trained."
            )
    elif not isinstance(value, (int, float, type(None))) or not math.isfinite(value or 0):
        raise _refuse_value(place, value)


def _refuse_value(place: str, value: Any) -> UserError:
    return UserError(
        f"{place} is a text, a finite number, True, False or None, which JSON holds. Received: "
        f"{describe(value)}"
    )


def is_own(manifest: Mapping[str, Any]) -> bool:
    """Returns whether this process has exported the bundle, as it is now."""
    return manifest["sha256"] in _written


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Returns the manifest of the bundle `folder`; one of an earlier schema is upgraded in memory.

    What it says was checked: see `export.manifest`.

    Raises:
        UserError: If there is none, it cannot be read, or says what no manifest may say.
    """
    path = Path(folder) / MANIFEST
    if not os.path.lexists(path):
        raise UserError(
            f"{folder} is not a bundle: it has no {MANIFEST}. Make one with: "
            + choose_wording("python -m export", "export.export(model, folder)")
        )
    content = read_file(folder, MANIFEST, MAX_BYTES)
    try:
        manifest = parse_manifest(content)
    except ManifestError as error:
        raise UserError(f"{path} is damaged: {error}. Export the bundle again.") from error
    if not isinstance(manifest, dict) or "schema_version" not in manifest:
        raise UserError(f"{path} is damaged: it has no schema_version. Export the bundle again.")
    version = manifest["schema_version"]
    if type(version) is not int or version not in (1, SCHEMA_VERSION):
        raise UserError(
            f"{path} has the schema version {ascii(version)[:40]}, this program reads up to "
            f"{SCHEMA_VERSION}. Export the bundle again, or install the version of keras-seq that "
            "wrote it."
        )
    if manifest.get("sha256") != hash_manifest(manifest):
        raise UserError(
            f"{path} is damaged: its SHA-256 is not the one that was written. Copy the "
            "bundle again."
        )
    try:
        manifest = upgrade_manifest(manifest) if version == 1 else manifest
        check_manifest(manifest)
    except ManifestError as error:
        raise UserError(
            f"{path} is not a manifest that can be used: {error}. Export the bundle again."
        ) from error
    return {**copy.deepcopy(OPTIONAL), **manifest}


def copy_manifest(folder: str | Path, target: Path) -> None:
    """Copies the manifest of a bundle into another folder, as it is."""
    (target / MANIFEST).write_bytes(read_file(folder, MANIFEST, MAX_BYTES))


def list_formats(manifest: Mapping[str, Any]) -> list[str]:
    """Returns the names of a bundle's formats, each once."""
    return list(dict.fromkeys(variant["format"] for variant in manifest["variants"]))


def find_variant(manifest: Mapping[str, Any], format: str, precision: str) -> dict[str, Any] | None:
    """Returns what the manifest says about a format in a precision; None if the bundle lacks it."""
    for variant in manifest["variants"]:
        if (variant["format"], variant["precision"]) == (format, precision):
            return variant
    return None


def require_variant(
    folder: str | Path, manifest: Mapping[str, Any], format: str, precision: str
) -> dict[str, Any]:
    """Returns what the manifest says about a format in a precision.

    Raises:
        UserError: If the bundle lacks it.
    """
    variant = find_variant(manifest, format, precision)
    if variant is None:
        variants = ", ".join(f"{v['format']} {v['precision']}" for v in manifest["variants"])
        wanted = f"{format or 'any format'} in {precision}"
        raise UserError(f"{folder} has: {variants}. Received: {wanted}")
    return variant


def verify(
    folder: str | Path, manifest: Mapping[str, Any], names: Collection[str] | None = None
) -> None:
    """Compares files of a bundle, by default all of them, with the manifest's hashes.

    Raises:
        UserError: Naming the first file that is missing, changed, or outside the bundle.
    """
    for name in manifest["files"] if names is None else names:
        with open_listed(folder, manifest, name) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != manifest["files"][name]["sha256"]:
                raise _refuse_changed(Path(folder) / name)


def open_listed(folder: str | Path, manifest: Mapping[str, Any], name: str) -> BinaryIO:
    """Opens a file of a bundle that has the size that the manifest says.

    Raises:
        UserError: If it has not, is not listed, or is outside the bundle.
    """
    if name not in manifest["files"]:
        raise UserError(f"{folder}: {name!r} is not in the manifest's list of files. Refused.")
    file = open_file(folder, name)
    if os.fstat(file.fileno()).st_size != manifest["files"][name]["bytes"]:
        file.close()
        raise _refuse_changed(Path(folder) / name)
    return file


def read_verified(folder: str | Path, manifest: Mapping[str, Any], name: str, limit: int) -> bytes:
    """Returns the content of a file of a bundle, whose hash is the manifest's.

    Raises:
        UserError: If it differs, or has more than `limit` bytes.
    """
    open_listed(folder, manifest, name).close()
    content = read_file(folder, name, limit)
    if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
        raise _refuse_changed(Path(folder) / name)
    return content


def copy_listed(folder: str | Path, manifest: Mapping[str, Any], name: str, target: Path) -> None:
    """Copies a file of a bundle to a new file, and verifies what was copied.

    Raises:
        UserError: If it is not the file that was exported.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open_listed(folder, manifest, name) as source, target.open("xb") as file:
        while part := source.read(PART_BYTES):
            digest.update(part)
            file.write(part)
    if digest.hexdigest() != manifest["files"][name]["sha256"]:
        raise _refuse_changed(Path(folder) / name)


def _refuse_changed(path: Path) -> UserError:
    return UserError(
        f"{path} is not the file that was exported: its SHA-256 differs from the manifest's. Copy "
        "the bundle again."
    )


def hash_manifest(manifest: Mapping[str, Any]) -> str:
    """Returns the hash of everything in the manifest except this hash."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
