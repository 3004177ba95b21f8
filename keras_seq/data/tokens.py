"""Token ids of many texts, made once and kept on disk."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_seq.data.download import cache_folder

AT_ONCE = 10_000  # texts handed to the tokenizer in one call


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

    def padded(self, rows: Sequence[int], length: int) -> np.ndarray:
        """Those rows, each cut to `length` or filled up with 0: `(len(rows), length)` int32."""
        spans = ((self.ends[row] - self.lengths[row], self.ends[row]) for row in rows)
        return padded([self.ids[start:end] for start, end in spans], length)

    def joined(self, beginning: int, end: int) -> np.ndarray:
        """All rows as one, each between the ids `beginning` and `end`: `(total + 2 N,)`."""
        starts = self.ends - self.lengths
        # np.insert keeps the order of what goes to one place: an end before the next beginning.
        places = np.stack([starts, self.ends], axis=1).reshape(-1)
        return np.insert(self.ids, places, np.tile([beginning, end], len(self)))

    def fingerprint(self) -> str:
        """SHA-256 of what is in the rows."""
        digest = hashlib.sha256(np.ascontiguousarray(self.ends, "int64").tobytes())
        digest.update(np.ascontiguousarray(self.ids, "int32").tobytes())
        return digest.hexdigest()


def padded(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Rows of ids, each cut to `length` or filled up with 0: `(len(rows), length)` int32."""
    batch = np.zeros((len(rows), length), "int32")
    for filled, row in zip(batch, rows, strict=True):
        filled[: min(len(row), length)] = row[:length]
    return batch


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> np.ndarray:
    """Token ids of all texts, cut and padded with 0: `(len(texts), max_length)` int32."""
    return _rows(tokenizer, tokenizer.encode, texts).padded(range(len(texts)), max_length)


def tokenized(tokenizer: Any, texts: Sequence[str]) -> TokenRows:
    """The token ids of `texts`; from the cache where the same texts were tokenised before.

    Args:
        tokenizer: A `keras_seq.text` tokenizer.
        texts: The texts.
    """
    folder = cache_folder() / "tokens" / _key(tokenizer, texts)
    with contextlib.suppress(OSError, ValueError, EOFError):  # Not there, or damaged.
        ids, ends = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "ends"))
        return TokenRows(ids, ends)
    made = _rows(tokenizer, tokenizer.encode, texts)
    with contextlib.suppress(OSError):  # A convenience: a full disk must not stop a run.
        _keep(made, folder)
    return made


def sampled(tokenizer: Any, texts: Sequence[str], alpha: float, seed: int) -> TokenRows:
    """The token ids of `texts`, each cut in a way that is drawn; see `Tokenizer.sample`."""
    return _rows(tokenizer, lambda some: tokenizer.sample(some, alpha, seed), texts)


def _key(tokenizer: Any, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(tokenizer.fingerprint.encode())
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def _rows(tokenizer: Any, encode: Callable, texts: Sequence[str]) -> TokenRows:
    dtype = "uint16" if tokenizer.vocabulary_size <= 1 << 16 else "int32"
    parts, lengths = [np.zeros(0, dtype)], []
    for start in range(0, len(texts), AT_ONCE):
        for ids in encode(texts[start : start + AT_ONCE]):
            parts.append(np.asarray(ids, dtype))
            lengths.append(len(ids))
    return TokenRows(np.concatenate(parts), np.cumsum(lengths, dtype="int64"))


def _keep(rows: TokenRows, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        np.save(partial / "ids.npy", rows.ids)
        np.save(partial / "ends.npy", rows.ends)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
