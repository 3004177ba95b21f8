"""Trains and evaluates language models: those that write on, and those that fill gaps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_seq.backbones import Backbone, RecurrentBackbone, TransformerBackbone
from keras_seq.compiling import compile_function
from keras_seq.console import print_status
from keras_seq.data.batches import Batches, HeldOutBlocks, MaskedBatches, PackedBatches
from keras_seq.data.tokens import tokenize_cached
from keras_seq.errors import UserError
from keras_seq.models import MaskedLanguageModel, TextGenerator
from keras_seq.tasks.language_modeling.data import TextCorpus
from keras_seq.text import Tokenizer
from keras_seq.text.tokenizer import BEGINNING, END, FIRST_BYTE, UNKNOWN
from keras_seq.training.devices import Devices
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.run import Run
from keras_seq.training.session import begin, conducted, tokenizer_for
from keras_seq.training.settings import TrainingSettings
from keras_seq.training.trainer import train

TOKENIZERS = ("bytes", "sentencepiece")
VALIDATION_TOKENS = 200_000  # Of the held-out texts, to choose the best epoch by.
RECURRENT_CONTEXT = 2048  # Tokens that a recurrent model reads in one go when it is evaluated.
EVALUATED_AT_ONCE = 4096  # Tokens in a batch then, about.


@dataclass(frozen=True, kw_only=True)
class LanguageSettings(TrainingSettings):
    """How a language model is built and trained. `BACKBONES` has the defaults of each backbone.

    Attributes:
        max_length: Tokens of a row; what a Transformer has place for.
        steps_per_epoch: Steps between two evaluations; 0 for a pass over the data.
        tie_embeddings: The softmax shares its weights with the embedding.
    """

    backbone: str = "transformer"
    tokenizer: str = "bytes"
    vocabulary_size: int = 8000
    max_length: int = 256
    hidden_dim: int = 128
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.1
    tie_embeddings: bool = True
    steps_per_epoch: int = 250
    epochs: int = 4
    batch_size: int = 16
    learning_rate: float = 4e-3
    schedule: str = "cosine"
    warmup_steps: int = 100
    weight_decay: float = 0.1
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("2 or more", lambda x: x >= 2, "max_length")
        self._require("1 or more", lambda x: x >= 1, "hidden_dim", "num_layers", "num_heads")
        self._require("0 or more", lambda x: x >= 0, "steps_per_epoch")
        self._require("261 or more", lambda x: x >= 261, "vocabulary_size")
        if self.backbone == "transformer" and self.hidden_dim % (2 * self.num_heads):
            raise UserError(
                f"A transformer's hidden_dim divides by its {self.num_heads} heads, into an even "
                f"width of each. Received: {self.hidden_dim}"
            )
        self._require("in [0, 1)", lambda x: 0 <= x < 1, "dropout")
        self._require(f"one of {', '.join(TOKENIZERS)}", TOKENIZERS.__contains__, "tokenizer")


BACKBONES = {
    "rnn": LanguageSettings(
        backbone="rnn", hidden_dim=256, num_layers=2, learning_rate=1e-3, weight_decay=0.0
    ),
    "lstm": LanguageSettings(backbone="lstm", hidden_dim=256, num_layers=2, weight_decay=0.0),
    "transformer": LanguageSettings(),
}


@dataclass(frozen=True)
class Objective:
    """What is learnt of a text.

    Attributes:
        causal: Whether a token is foretold from those before it alone.
        model: The class of the model.
        prepared: Blocks of tokens, and the settings and the tokenizer, to what is learnt of them.
        evaluate: The model's results on held-out texts; see `evaluate_generator`.
    """

    causal: bool
    model: type
    prepared: Callable[[Batches, LanguageSettings, Tokenizer], Batches]
    evaluate: Callable[[Any, Sequence[str], str], dict[str, Any]]


def build_language_model(task: str, settings: LanguageSettings, tokenizer: Tokenizer) -> Any:
    """The model of `task`, "generate" or "unmask", that `settings` describe, not yet trained.

    Raises:
        UserError: If the settings do not fit together.
    """
    objective = OBJECTIVES[task]
    try:
        return objective.model(
            _backbone(settings, tokenizer.vocabulary_size, objective.causal),
            tokenizer,
            settings.max_length,
            settings.tie_embeddings,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _backbone(settings: LanguageSettings, vocabulary_size: int, causal: bool) -> Backbone:
    if settings.backbone == "transformer":
        return TransformerBackbone(
            vocabulary_size,
            settings.hidden_dim,
            num_layers=settings.num_layers,
            num_heads=settings.num_heads,
            max_length=settings.max_length,
            positions="rotary",
            causal=causal,
            dropout=settings.dropout,
        )
    return RecurrentBackbone(
        vocabulary_size,
        settings.hidden_dim,
        cell=settings.backbone,
        num_layers=settings.num_layers,
        bidirectional=not causal,
        dropout=settings.dropout,
    )


def train_language_model(
    task: str,
    corpus: TextCorpus,
    settings: LanguageSettings,
    run: Run,
    source: Mapping[str, Any],
    devices: Devices | None = None,
    visible: bool = True,
) -> Any:
    """Trains on `corpus.train`, keeps the best epoch in `run`, evaluates on `corpus.held_out`.

    The first 200,000 tokens of the held-out texts choose the best epoch. A run that was begun goes
    on.

    Args:
        task: "generate" for a `TextGenerator`, "unmask" for a `MaskedLanguageModel`.
        corpus: What to learn.
        settings: How.
        run: A new run; its folder is made once data and settings have proven usable. Or one that
            was begun with the same corpus and settings.
        source: What `data.load_texts` takes to load `corpus` again.
        devices: Where; one device by default.
        visible: Show the progress.

    Returns:
        The best epoch's model; None in a process that is not the first of several.

    Raises:
        UserError: If the data cannot be learnt from or the settings do not fit together.
    """
    devices = devices or Devices()
    return conducted(
        run,
        settings,
        devices,
        lambda: _train(task, corpus, settings, run, source, devices, visible),
        lambda model: OBJECTIVES[task].evaluate(model, corpus.held_out, corpus.name),
    )


def _train(
    task: str,
    corpus: TextCorpus,
    settings: LanguageSettings,
    run: Run,
    source: Mapping[str, Any],
    devices: Devices,
    visible: bool,
) -> None:
    say = print_status if visible and devices.chief else lambda text: None
    characters, others = (sum(map(len, texts)) for texts in (corpus.train, corpus.held_out))
    say(
        f"{corpus.name}: {characters:,} characters to learn from (texts: {len(corpus.train):,}), "
        f"{others:,} characters held out"
    )
    tokenizer = tokenizer_for(
        run, settings.tokenizer, settings.vocabulary_size, corpus.train, settings.seed, say
    )
    model = build_language_model(task, settings, tokenizer)
    tokens = tokenize_cached(tokenizer, corpus.train)
    batches = PackedBatches(
        tokens.join(BEGINNING, END),
        settings.batch_size,
        settings.max_length,
        settings.seed,
        settings.steps_per_epoch or None,
        BEGINNING,
    )
    held_out = HeldOutBlocks(
        tokenize_cached(tokenizer, corpus.held_out).join(BEGINNING, END)[:VALIDATION_TOKENS],
        max(1, EVALUATED_AT_ONCE // settings.max_length),
        settings.max_length,
    )
    prepared = OBJECTIVES[task].prepared
    optimizer = settings.optimizer(settings.epochs * len(batches))
    begin(run, task, corpus.name, source, tokens.fingerprint(), settings, tokenizer, devices, say)
    model.compile(optimizer, CrossEntropy(settings.label_smoothing, from_logits=True))
    say(
        f"Training {model.count_params():,} parameters for {settings.epochs} × {len(batches):,} "
        f"steps of {settings.batch_size} × {settings.max_length} tokens"
    )
    train(
        model,
        prepared(batches, settings, tokenizer),
        prepared(held_out, settings, tokenizer),
        run,
        settings,
        devices,
        monitor="loss",
        visible=visible,
    )


def _masked(blocks: Batches, settings: LanguageSettings, tokenizer: Tokenizer) -> Batches:
    return MaskedBatches(blocks, tokenizer.vocabulary_size, UNKNOWN, FIRST_BYTE, settings.seed)


def evaluate_unmasker(
    model: MaskedLanguageModel, texts: Sequence[str], name: str
) -> dict[str, Any]:
    """How well `model` fills gaps: the nats of hidden tokens, 15 % of all, and of how many it finds
    the right one.

    Returns:
        "loss", "perplexity", "accuracy", and what they are of.
    """
    ids = tokenize_cached(model.tokenizer, texts).join(BEGINNING, END)[:VALIDATION_TOKENS]
    blocks = HeldOutBlocks(ids, max(1, EVALUATED_AT_ONCE // model.max_length), model.max_length)
    vocabulary_size = model.tokenizer.vocabulary_size
    batches = MaskedBatches(blocks, vocabulary_size, UNKNOWN, FIRST_BYTE, seed=0)
    tell = compile_function(model, lambda x, y: _told(model, x, y))
    nats, right, count = 0.0, 0, 0
    for x, y, weight in batches:
        loss, told = (ops.convert_to_numpy(value) for value in tell(x, y))
        hidden = weight > 0
        nats += float(loss[hidden].sum(dtype="float64"))
        right += int((told == y)[hidden].sum())
        count += int(hidden.sum())
    loss = nats / count
    return {
        "data": name,
        "loss": loss,
        "perplexity": math.exp(min(loss, 700)),
        "accuracy": right / count,
        "tokens": count,
    }


def _told(model: MaskedLanguageModel, x: Any, y: Any) -> tuple[Any, Any]:
    logits = model(x)
    return CrossEntropy(from_logits=True).call(y, logits), ops.argmax(logits, axis=-1)


def evaluate_generator(model: TextGenerator, texts: Sequence[str], name: str) -> dict[str, Any]:
    """How well `model` foretells texts: each token from those before it, half a window or more.

    A window is what the model was trained with; for a recurrent model, which has no end, 2,048.

    Returns:
        "loss" in nats a token, "perplexity", "bits_per_byte", and what they are of.

    Raises:
        UserError: If there are fewer than two tokens.
    """
    ids = tokenize_cached(model.tokenizer, texts).join(BEGINNING, END).astype("int32")
    bounded = hasattr(model.backbone, "max_length")
    window = min(model.max_length if bounded else RECURRENT_CONTEXT, len(ids) - 1)
    if len(ids) <= 3:
        raise UserError(f"{name} has {len(ids)} tokens: too few to evaluate on.")
    stride = max(1, window // 2)
    starts = np.arange(0, max(1, len(ids) - window), stride)
    starts = np.unique(np.append(starts, len(ids) - 1 - window))
    nats_of = compile_function(model, lambda x, y: _nats(model, x, y))
    rows = max(1, EVALUATED_AT_ONCE // window)
    total, read = 0.0, 0
    for first in range(0, len(starts), rows):
        some = starts[first : first + rows]
        blocks = np.stack([ids[start : start + window + 1] for start in some])
        filled = np.pad(blocks, ((0, rows - len(some)), (0, 0)))
        nats = ops.convert_to_numpy(nats_of(filled[:, :-1], filled[:, 1:]))
        for start, row, block in zip(some, nats, blocks, strict=False):
            new = slice(max(0, read - start), None)
            # That a text begins where one has ended is no news.
            counts = block[1:][new] != BEGINNING
            total += float(row[new][counts].sum(dtype="float64"))
            read = start + window
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


def _nats(model: TextGenerator, x: Any, y: Any) -> Any:
    return CrossEntropy(from_logits=True).call(y, model(x))


OBJECTIVES = {
    "generate": Objective(True, TextGenerator, lambda blocks, *_: blocks, evaluate_generator),
    "unmask": Objective(False, MaskedLanguageModel, _masked, evaluate_unmasker),
}
