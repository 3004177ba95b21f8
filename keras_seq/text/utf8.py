"""Texts as bytes, the form that every runtime takes. Plain data: imports NumPy only."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_seq.errors import UserError, describe


def list_texts(texts: Any, name: str = "") -> list[str | bytes]:
    """Returns texts as a list: one text, a list of them, an array, or a column of a table.

    Args:
        texts: A str or bytes, which is one text; or an iterable of them, such as a list, a NumPy
            array `(N,)` or `(N, 1)`, or a pandas Series.
        name: Name of the argument, for error messages.

    Raises:
        UserError: If they are no texts; it names the first item that is none.
    """
    where = f"{name}: " if name else ""
    if isinstance(texts, (str, bytes)):
        return [texts]
    if not isinstance(texts, Iterable) or isinstance(texts, dict):
        raise UserError(f"{where}give a text or a list of texts. Received: {describe(texts)}")
    columns = getattr(texts, "columns", None)
    if columns is not None:
        if len(columns) != 1:
            raise UserError(
                f"{where}give one column of the table. It has: {', '.join(map(str, columns))}"
            )
        texts = texts[columns[0]]
    if isinstance(texts, np.ndarray) and texts.shape[1:] == (1,):
        texts = texts[:, 0]
    items = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    if not isinstance(items, list):  # of an array without dimensions
        return list_texts(items, name)
    for i, item in enumerate(items):
        if not isinstance(item, (str, bytes)):
            is_nan = isinstance(item, float) and item != item
            is_missing = is_nan or item is None or type(item).__name__ == "NAType"
            advice = ". Leave out rows without a text, in pandas by dropna()" if is_missing else ""
            raise UserError(
                f"{where}a text is a str or bytes. Received as item {i}: {describe(item)}{advice}"
            )
    return items


def is_text(values: Any) -> bool:
    """Returns whether values are texts, or some of them are: what `list_texts` is for."""
    if isinstance(values, (str, bytes)):
        return True
    if hasattr(values, "to_numpy"):  # a column of a table
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "USO"
    return isinstance(values, (list, tuple)) and any(isinstance(v, (str, bytes)) for v in values)


def to_bytes(text: str | bytes) -> bytes:
    """Returns a text in UTF-8. Lone surrogates become "?"; bytes stay as they are."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


def replace_surrogates(text: str) -> str:
    """Returns a text whose lone surrogates are "?", as `to_bytes` writes them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def truncate(text: bytes, limit: int) -> bytes:
    """Returns at most the first `limit` bytes, without a partial character."""
    end = min(limit, len(text))
    while end < len(text) and end > 0 and limit - end < 3 and text[end] & 0xC0 == 0x80:
        end -= 1
    return text[:end]


def truncate_left(text: bytes, limit: int) -> bytes:
    """Returns at most the last `limit` bytes, without a partial character."""
    start = max(0, len(text) - limit)
    while 0 < start < len(text) and start + limit - len(text) < 3 and text[start] & 0xC0 == 0x80:
        start += 1
    return text[start:]


def pack_texts(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns texts as `(B, L)` uint8, padded with zeros, and their lengths `(B,)` int32."""
    lengths = np.array([len(text) for text in texts], "int32")
    rows = np.zeros((len(texts), max(1, lengths.max(initial=0))), "uint8")
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, "uint8")
    return rows, lengths


def unpack_array(content: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Returns texts `(…, M)` uint8 with their lengths `(…,)` as an array of bytes."""
    texts = np.empty(length.shape, object)
    for index in np.ndindex(length.shape):
        texts[index] = content[index][: length[index]].tobytes()
    return texts


def unpack_texts(rows: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    """Returns the texts that `pack_texts` packed."""
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
