"""Prepares a masked language model for training, and evaluates one."""

import math
from typing import Any

from keras import ops

from keras_seq.compiling import compile_function
from keras_seq.data.batches import Batches
from keras_seq.data.corpus import Texts
from keras_seq.tasks.language_modeling.training import held_out_blocks, prepare_language_model
from keras_seq.tasks.unmask.batches import MaskedBatches
from keras_seq.tasks.unmask.model import MaskedLanguageModel
from keras_seq.text import Tokenizer
from keras_seq.text.tokenizer import FIRST_BYTE, UNKNOWN
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.session import Session, TrainingPlan
from keras_seq.typing import Tensor


def prepare(session: Session) -> TrainingPlan:
    """Prepares a masked language model and its data."""
    return prepare_language_model(session, MaskedLanguageModel, mask_batches)


def mask_batches(blocks: Batches, tokenizer: Tokenizer, seed: int) -> MaskedBatches:
    """Returns blocks of tokens, some of which are hidden."""
    return MaskedBatches(blocks, tokenizer.vocabulary_size, UNKNOWN, FIRST_BYTE, seed)


def evaluate(model: MaskedLanguageModel, examples: Texts, name: str) -> dict[str, Any]:
    """Evaluates how well a model predicts hidden tokens, 15 % of all.

    Returns:
        "loss" in nats per token, "perplexity", "accuracy", and on how many "tokens" of which
        "data".
    """
    blocks = held_out_blocks(model.tokenizer, examples.texts, model.max_length)

    def compute_predictions(x: Any, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(x)
        return CrossEntropy(from_logits=True).call(y, logits), ops.argmax(logits, axis=-1)

    predict = compile_function(model, compute_predictions)
    nats, right, count = 0.0, 0, 0
    for x, y, weight in mask_batches(blocks, model.tokenizer, seed=0):
        loss, predictions = (ops.convert_to_numpy(value) for value in predict(x, y))
        hidden = weight > 0
        nats += float(loss[hidden].sum(dtype="float64"))
        right += int((predictions == y)[hidden].sum())
        count += int(hidden.sum())
    return {
        "data": name,
        "loss": nats / count,
        "perplexity": math.exp(min(nats / count, 700)),
        "accuracy": right / count,
        "tokens": count,
    }
