"""Sampling one token from a distribution, by a random number that the caller gives."""

import keras
import numpy as np
from keras import ops

from keras_seq.typing import Tensor


def next_token(
    logits: Tensor, uniform: Tensor, temperature: Tensor, top_k: Tensor, top_p: Tensor
) -> Tensor:
    """Selects a token for each row; the same numbers always select the same tokens.

    The probabilities are softmax(logits / temperature), restricted to the `top_k` likeliest tokens
    (Fan et al. 2018) and to the likeliest of these whose probabilities add up to `top_p` (Holtzman
    et al. 2020). The token is the first at which the sum of these probabilities, over ascending
    ids, exceeds `uniform` times their total. Tokens that tie with the last one stay, too.

    Args:
        logits: `(B, V)` float.
        uniform: `(B,)` float32 in [0, 1).
        temperature: `()` float32; 0 selects the likeliest token.
        top_k: `()` int32; 0 for all.
        top_p: `()` float32 in (0, 1].

    Returns:
        `(B,)` int32.
    """
    logits = ops.cast(logits, "float32")
    limit = count_candidates(top_k)
    return ops.cond(
        temperature > 0,
        lambda: draw_token(logits, uniform, temperature, limit, top_p),
        lambda: likeliest_token(logits),
    )


def likeliest_token(logits: Tensor) -> Tensor:
    """Returns the first largest of each row."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.argmax of floats uses bit operations, which TFLite lacks.
        return tf.argmax(logits, axis=-1, output_type=tf.int32)
    is_largest = ops.equal(logits, ops.max(logits, axis=-1, keepdims=True))
    return ops.cast(ops.argmax(ops.cast(is_largest, "int32"), axis=-1), "int32")


def count_candidates(top_k: Tensor) -> Tensor:
    """Returns the `top_k` of `next_token` as a number of tokens: very many for all."""
    return ops.where(ops.equal(top_k, 0), np.iinfo("int32").max, top_k)


def draw_token(
    logits: Tensor, uniform: Tensor, temperature: Tensor, candidates: Tensor, top_p: Tensor
) -> Tensor:
    """Selects a token as `next_token` does with a temperature above 0.

    `candidates` is what `count_candidates` returns.
    """
    size = logits.shape[-1]
    p = ops.softmax(logits / temperature, axis=-1)
    ranked, _ = ops.top_k(p, size)  # (B, V), the likeliest first
    rank = ops.expand_dims(ops.arange(size, dtype="int32"), axis=0)
    before = ops.cumsum(ranked, axis=-1) - ranked
    is_candidate = ops.logical_and(before < top_p, rank < candidates)  # always the first
    lowest = ops.min(ops.where(is_candidate, ranked, 2.0), axis=-1, keepdims=True)
    p = ops.where(p >= lowest, p, 0.0)
    reached = ops.cumsum(p, axis=-1)
    target = ops.expand_dims(uniform, axis=-1) * reached[:, -1:]
    # Rounding may lift the target to the total: the last token kept is the limit.
    last = ops.max(ops.where(p > 0, rank, 0), axis=-1)
    return ops.minimum(ops.sum(ops.cast(reached <= target, "int32"), axis=-1), last)
