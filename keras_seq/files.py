"""Reads files that a user names: of any kind, any size and any content.

Every reader has a limit, and an error says what the file is and what to do.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from keras_seq.errors import UserError

LARGEST_FILE = 2**31  # bytes that are read of a file of texts
LARGEST_JSON = 2**26  # bytes of a file of settings, or of a model's configuration
LONGEST_ROW = 10_000_000  # characters of a row or of a line: three times War and Peace
MAX_DIGITS = 4300  # of a whole number, as Python reads it

KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
# What the first bytes say of a file that is not text, and what to do.
SIGNATURES = {
    b"\x1f\x8b": ("is compressed (gzip)", "Unpack it: gunzip FILE"),
    b"BZh": ("is compressed (bzip2)", "Unpack it: bunzip2 FILE"),
    b"\xfd7zXZ": ("is compressed (xz)", "Unpack it: unxz FILE"),
    b"\x28\xb5\x2f\xfd": ("is compressed (zstandard)", "Unpack it: unzstd FILE"),
    b"PK\x03\x04": ("is an archive or a spreadsheet (ZIP)", "Unpack it, or save it as CSV."),
    b"PAR1": ("is a Parquet file", "Save it as JSON lines or CSV."),
    b"ARROW1": ("is an Arrow file", "Save it as JSON lines or CSV."),
    b"\x93NUMPY": ("is a NumPy array", "Save its texts as JSON lines."),
    b"SQLite format 3": ("is a database (SQLite)", "Save the table as CSV."),
    b"%PDF": ("is a PDF file", "Save its text as a text file."),
    b"\xff\xfe": ("is in UTF-16", "Convert it: iconv -f utf-16 -t utf-8 IN > OUT"),
    b"\xfe\xff": ("is in UTF-16", "Convert it: iconv -f utf-16 -t utf-8 IN > OUT"),
}


def name_kind(path: str | Path) -> str | None:
    """Returns what a path names that is no file: "a pipe"; None for a file, and for nothing."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return _name_mode(mode)


def _name_mode(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    return next((name for holds, name in KINDS.items() if holds(mode)), "no file")


def require_file(path: str | Path, kind: str | None) -> None:
    """Raises UserError if `kind`, from `name_kind`, says that a path names no file."""
    if kind == "a folder":
        raise UserError(f"{path} cannot be read as a file: it is a folder.")
    if kind is not None:
        raise UserError(
            f"{path} is {kind}, and what is read more than once has to be a file. Write its "
            "content into one, and name that."
        )


def refuse_stream(path: str | Path) -> None:
    """Raises UserError if a path names a pipe, a device or a socket; it may name a folder."""
    kind = name_kind(path)
    if kind != "a folder":
        require_file(path, kind)


def open_file(path: str | Path) -> BinaryIO:
    """Opens a file to read. A pipe, a device or a socket is refused at once: it may never end.

    Raises:
        UserError: If it is no file, or can't be read.
        FileNotFoundError: If there is none.
    """
    # Opening a device may do something, and opening a pipe waits for a writer.
    require_file(path, name_kind(path))
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{str(path)!r} cannot be read: {reason}.") from error
    file = os.fdopen(number, "rb")
    try:
        require_file(path, _name_mode(os.fstat(number).st_mode))  # It may have been replaced.
    except UserError:
        file.close()
        raise
    return file


def read_bytes(path: str | Path, limit: int = LARGEST_FILE) -> bytes:
    """Reads a file of at most `limit` bytes.

    Raises:
        UserError: If it is no file, too large, or can't be read.
        FileNotFoundError: If there is none.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise UserError(
                f"{path} has {size:,} bytes, and {limit:,} are read at most. Give a part of it."
            )
        try:
            return file.read(size)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def read_utf8(path: Path) -> str:
    """Reads a file in UTF-8.

    Raises:
        UserError: If there is none, it is empty or too large, or it is not text in UTF-8.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Give a file, or the name of a data set.") from None
    if not content.strip():
        raise UserError(f"{path} is empty.")
    return decode_utf8(path, content)


def decode_utf8(path: str | Path, content: bytes) -> str:
    """Returns the content of a file as text.

    Raises:
        UserError: If it is not text in UTF-8; it names the line and the byte.
    """
    for signature, (what, remedy) in SIGNATURES.items():
        if content.startswith(signature) and not _is_utf8(content):
            raise UserError(f"{path} {what}, not text in UTF-8. {remedy}")
    zero = content.find(0)
    if zero >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise UserError(
            f"{path}, line {line}: there is a zero byte, so this is not text in UTF-8. If it is "
            "in UTF-16, convert it: iconv -f utf-16le -t utf-8 IN > OUT. Else leave the byte out."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        line = content.count(b"\n", 0, start) + 1
        raise UserError(
            f"{path}, line {line}: byte 0x{content[start]:02x} is not UTF-8. "
            "Convert the file, for example: iconv -f latin1 -t utf-8 IN > OUT"
        ) from error


def _is_utf8(content: bytes) -> bool:
    """Returns whether the beginning of a content is text, whatever it begins with."""
    head = content[:4096]
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and 0 not in head
    return 0 not in head


def parse_json(text: str | bytes) -> Any:
    """Parses JSON that anybody may have written.

    Raises:
        ValueError: If it is none, nested too deeply, or has a number of too many digits; the
            message says which.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:
        raise ValueError(f"it has a number of more than {MAX_DIGITS:,} digits") from None


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Reads a file with one JSON object, such as settings.

    Args:
        path: The file.
        remedy: What to do where it is damaged: "Train again."

    Raises:
        UserError: If it is no file, or holds no object.
        FileNotFoundError: If there is none.
    """
    try:
        value = parse_json(read_bytes(path, LARGEST_JSON))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}. {remedy}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it holds no JSON object. {remedy}")
    return value
