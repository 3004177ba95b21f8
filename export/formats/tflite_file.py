"""What a TFLite file asks of a runtime, read from its first table without a package."""

import mmap
import struct
from pathlib import Path

# Of schema.fbs: the places of fields in its tables.
MODEL_OPERATOR_CODES = 1
MODEL_EXTERNAL_BUFFER_GROUPS = 8
OPERATOR_CODE_CUSTOM = 1
IDENTIFIER = b"TFL3"


def find_foreign(path: Path) -> list[str]:
    """Returns what a file needs that is not in it: names of custom operators, and of other files.

    Raises:
        ValueError: If it is no TFLite file.
    """
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _find_foreign(content)
        except (struct.error, IndexError, OverflowError) as error:
            raise ValueError(f"it ends inside a table: {error}") from error


def _find_foreign(content: mmap.mmap) -> list[str]:
    if content[4:8] != IDENTIFIER:
        raise ValueError("it does not begin as one")
    model = _follow(content, 0)
    foreign = []
    for code in _read_vector(content, model, MODEL_OPERATOR_CODES):
        place = _find_field(content, _follow(content, code), OPERATOR_CODE_CUSTOM)
        if place is not None and (name := _read_string(content, place)):
            foreign.append(f"the operator {name}")
    if any(True for _ in _read_vector(content, model, MODEL_EXTERNAL_BUFFER_GROUPS)):
        foreign.append("weights in other files")
    return foreign


def _follow(content: mmap.mmap, place: int) -> int:
    return place + struct.unpack_from("<I", content, place)[0]


def _find_field(content: mmap.mmap, table: int, field: int) -> int | None:
    """Returns the place of a table's field; None if it has its default."""
    fields = table - struct.unpack_from("<i", content, table)[0]
    if fields < 0:
        raise ValueError("a table is before its beginning")
    (size,) = struct.unpack_from("<H", content, fields)
    if 4 + 2 * field >= size:
        return None
    (offset,) = struct.unpack_from("<H", content, fields + 4 + 2 * field)
    return table + offset if offset else None


def _read_vector(content: mmap.mmap, table: int, field: int) -> range:
    """Returns the places of the entries of a vector of tables."""
    place = _find_field(content, table, field)
    if place is None:
        return range(0)
    start = _follow(content, place)
    (count,) = struct.unpack_from("<I", content, start)
    if start + 4 + 4 * count > len(content):
        raise ValueError("a list is longer than the file")
    return range(start + 4, start + 4 + 4 * count, 4)


def _read_string(content: mmap.mmap, place: int) -> str:
    start = _follow(content, place)
    (size,) = struct.unpack_from("<I", content, start)
    return content[start + 4 : start + 4 + min(size, 80)].decode("ascii", "backslashreplace")
