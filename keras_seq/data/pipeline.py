"""Texts to arrays of token ids, through tf.data."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seq.text.tokenizer import to_unicode

BATCH = 256


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> np.ndarray:
    """Token ids of all texts, cut and padded with 0.

    Args:
        tokenizer: A `keras_seq.text` tokenizer.
        texts: The texts.
        max_length: Ids kept of each.

    Returns:
        `(len(texts), max_length)` int32.
    """
    import tensorflow as tf

    token_ids = np.zeros((len(texts), max_length), "int32")
    if not len(texts):
        return token_ids
    dataset = (
        tf.data.Dataset.from_tensor_slices([to_unicode(text).encode("utf-8") for text in texts])
        .batch(BATCH)
        .map(lambda batch: tokenizer.to_tensor(batch, max_length), tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    for i, batch in enumerate(dataset.as_numpy_iterator()):
        token_ids[i * BATCH : i * BATCH + len(batch)] = batch
    return token_ids
