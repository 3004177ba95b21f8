"""Token ids of a data set, made once and kept on disk."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_seq.data.download import cache_folder
from keras_seq.text.token_rows import TokenRows, encode_rows


def tokenize_cached(tokenizer: Any, texts: Sequence[str]) -> TokenRows:
    """Returns the token ids of each text, from the cache if the same texts were tokenised before.

    Args:
        tokenizer: A `keras_seq.text` tokenizer.
        texts: The texts.
    """
    folder = cache_folder() / "tokens" / _cache_key(tokenizer, texts)
    with contextlib.suppress(OSError, ValueError, EOFError):  # missing or damaged
        ids, ends = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "ends"))
        return TokenRows(ids, ends)
    rows = encode_rows(tokenizer.encode, texts, tokenizer.vocabulary_size)
    with contextlib.suppress(OSError):  # A convenience: a full disk must not stop a run.
        _save(rows, folder)
    return rows


def sample_segmentations(
    tokenizer: Any, texts: Sequence[str], alpha: float, seed: int
) -> TokenRows:
    """Returns token ids of each text, segmented at random; see `Tokenizer.sample`."""
    return encode_rows(
        lambda chunk: tokenizer.sample(chunk, alpha, seed), texts, tokenizer.vocabulary_size
    )


def _cache_key(tokenizer: Any, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(tokenizer.fingerprint.encode())
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def _save(rows: TokenRows, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        np.save(partial / "ids.npy", rows.ids)
        np.save(partial / "ends.npy", rows.ends)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
