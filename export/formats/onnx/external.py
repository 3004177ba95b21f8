"""The files in which an ONNX file keeps weights, read from its bytes without a package.

onnxruntime opens whatever path a file names, and some of its versions do so outside the folder.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

# Of onnx.proto: by message, its fields that lead to a tensor with external data, and to what.
FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
LOCATION = b"location"
MAX_DEPTH = 64  # of graphs in loops in graphs


def list_external(path: Path) -> set[str]:
    """Returns the files that the tensors of an ONNX file name, as they name them.

    Raises:
        ValueError: If it is no ONNX file.
    """
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content.find(LOCATION) < 0:  # The key of every such entry; few files have more.
                    return set()
                return set(_iter_locations(content, 0, len(content), "model", 0))
        except IndexError:
            raise ValueError("it ends inside a field") from None


def _iter_locations(
    content: mmap.mmap, start: int, end: int, message: str, depth: int
) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    inside = FIELDS[message]
    for field, first, last in _iter_fields(content, start, end):
        if field not in inside:
            continue
        if inside[field] != "entry":
            yield from _iter_locations(content, first, last, inside[field], depth + 1)
            continue
        entry = {key: content[a:b] for key, a, b in _iter_fields(content, first, last)}
        if entry.get(1) == LOCATION:
            yield entry.get(2, b"").decode("utf-8", "backslashreplace")


def _iter_fields(content: mmap.mmap, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields number, start and end of each field of a message that is bytes."""
    while place < end:
        key, place = _read_varint(content, place)
        kind = key & 7
        if kind == 2:
            size, place = _read_varint(content, place)
            if place + size > end:
                raise ValueError("a field is longer than what it is in")
            yield key >> 3, place, place + size
            place += size
        elif kind == 0:
            _, place = _read_varint(content, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError(f"it has a field of the kind {kind}")


def _read_varint(content: mmap.mmap, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("it has a number of more than 10 bytes")
