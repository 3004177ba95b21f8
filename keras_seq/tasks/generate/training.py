"""Prepares a text generator for training, and evaluates one."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_seq.compiling import compile_function
from keras_seq.data.corpus import Texts
from keras_seq.data.tokens import tokenize_cached
from keras_seq.errors import UserError
from keras_seq.tasks.generate.model import TextGenerator
from keras_seq.tasks.language_modeling.training import EVAL_BATCH_TOKENS, prepare_language_model
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.session import Session, TrainingPlan

RECURRENT_CONTEXT = 2048  # tokens that a recurrent model reads at once when it is evaluated


def prepare(session: Session) -> TrainingPlan:
    """Prepares a text generator and its data."""
    return prepare_language_model(session, TextGenerator, lambda blocks, *_: blocks)


def evaluate(model: TextGenerator, examples: Texts, name: str) -> dict[str, Any]:
    """Evaluates how well a generator predicts texts: each token from half a window or more.

    A window is as long as the model was trained with; 2,048 tokens for a recurrent model, which has
    no limit.

    Returns:
        "loss" in nats per token, "perplexity", "bits_per_byte", and on how many "tokens" and
        "bytes" of which "data".

    Raises:
        UserError: If there are too few tokens.
    """
    texts = examples.texts
    ids = tokenize_cached(model.tokenizer, texts).join(BEGINNING, END).astype("int32")
    window = min(model.max_length if model.is_bounded else RECURRENT_CONTEXT, len(ids) - 1)
    if len(ids) <= 3:
        raise UserError(f"{name} has {len(ids)} tokens: too few to evaluate on.")
    stride = max(1, window // 2)
    starts = np.arange(0, max(1, len(ids) - window), stride)
    starts = np.unique(np.append(starts, len(ids) - 1 - window))
    compute_nats = compile_function(
        model, lambda x, y: CrossEntropy(from_logits=True).call(y, model(x))
    )
    rows = max(1, EVAL_BATCH_TOKENS // window)
    total, end = 0.0, 0
    for first in range(0, len(starts), rows):
        batch_starts = starts[first : first + rows]
        blocks = np.stack([ids[start : start + window + 1] for start in batch_starts])
        batch = np.pad(blocks, ((0, rows - len(blocks)), (0, 0)))
        nats = ops.convert_to_numpy(compute_nats(batch[:, :-1], batch[:, 1:]))
        for start, row, block in zip(batch_starts, nats, blocks, strict=False):
            new = slice(max(0, end - start), None)
            # That a text begins where another has ended is not a prediction.
            counts = block[1:][new] != BEGINNING
            total += float(row[new][counts].sum(dtype="float64"))
            end = start + window
    count = int((ids[1:] != BEGINNING).sum())
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    loss = total / count
    return {
        "data": name,
        "loss": loss,
        "perplexity": math.exp(min(loss, 700)),
        "bits_per_byte": total / math.log(2) / size,
        "tokens": count,
        "bytes": size,
        "context": window,
    }
