"""Texts as bytes, the form that every runtime takes. Plain data: imports NumPy only."""

from collections.abc import Sequence

import numpy as np


def to_bytes(text: str | bytes) -> bytes:
    """Returns a text in UTF-8. Lone surrogates become "?"; bytes stay as they are."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


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


def unpack_texts(rows: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    """Returns the texts that `pack_texts` packed."""
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
