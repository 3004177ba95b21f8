"""Token ids of many texts as arrays: ragged rows, and padded matrices. Imports NumPy only."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TOKENIZE_CHUNK = 10_000  # texts handed to the tokenizer in one call


class TokenRows:
    """Rows of token ids of different lengths, one after another in one array.

    Args:
        ids: `(total,)` integers, on disk or in memory.
        ends: `(N,)` int64, where each row ends.
    """

    def __init__(self, ids: np.ndarray, ends: np.ndarray) -> None:
        self.ids = ids
        self.ends = ends
        self.lengths = np.diff(ends, prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    def pad(self, rows: Sequence[int], length: int) -> np.ndarray:
        """Returns those rows, each cut or padded with 0: `(len(rows), length)` int32."""
        spans = ((self.ends[row] - self.lengths[row], self.ends[row]) for row in rows)
        return pad_rows([self.ids[start:end] for start, end in spans], length)

    def join(self, beginning: int, end: int) -> np.ndarray:
        """Returns all rows as one, each between two ids: `(total + 2 N,)`.

        Args:
            beginning: The id before each row.
            end: The id behind each row.
        """
        starts = self.ends - self.lengths
        # np.insert keeps the order of what goes to one place: an end before the next beginning.
        positions = np.stack([starts, self.ends], axis=1).reshape(-1)
        return np.insert(self.ids, positions, np.tile([beginning, end], len(self)))

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the rows."""
        digest = hashlib.sha256(np.ascontiguousarray(self.ends, "int64").tobytes())
        digest.update(np.ascontiguousarray(self.ids, "int32").tobytes())
        return digest.hexdigest()


def pad_rows(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Returns rows of ids, each cut or padded with 0: `(len(rows), length)` int32."""
    matrix = np.zeros((len(rows), length), "int32")
    for padded, row in zip(matrix, rows, strict=True):
        padded[: min(len(row), length)] = row[:length]
    return matrix


def encode_rows(
    encode: Callable[[Sequence[str]], Any], texts: Sequence[str], vocabulary_size: int
) -> TokenRows:
    """Returns the token ids of each text.

    Args:
        encode: Maps a list of texts to a list of rows of ids.
        texts: The texts.
        vocabulary_size: Number of ids; it decides how wide an integer is kept.
    """
    dtype = "uint16" if vocabulary_size <= 1 << 16 else "int32"
    parts, lengths = [np.zeros(0, dtype)], []
    for start in range(0, len(texts), TOKENIZE_CHUNK):
        for ids in encode(texts[start : start + TOKENIZE_CHUNK]):
            parts.append(np.asarray(ids, dtype))
            lengths.append(len(ids))
    return TokenRows(np.concatenate(parts), np.cumsum(lengths, dtype="int64"))


def tokenize_to_matrix(tokenizer: Any, texts: Sequence[str], max_length: int) -> np.ndarray:
    """Returns the ids of each text, cut or padded with 0: `(len(texts), max_length)` int32."""
    rows = encode_rows(tokenizer.encode, texts, tokenizer.vocabulary_size)
    return rows.pad(range(len(texts)), max_length)
