"""Texts as the tensors that a signature takes."""

from collections.abc import Sequence

import numpy as np


def packed(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Texts in UTF-8 as `(B, L)` uint8, padded with zeros, and their lengths `(B,)` int32."""
    lengths = np.array([len(text) for text in texts], "int32")
    rows = np.zeros((len(texts), max(1, lengths.max(initial=0))), "uint8")
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, "uint8")
    return rows, lengths
