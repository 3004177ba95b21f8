"""Trains and evaluates a text classifier."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_seq.backbones import Backbone, RecurrentBackbone, TransformerBackbone
from keras_seq.console import stage
from keras_seq.data.batches import ShuffledBatches
from keras_seq.data.examples import Corpus, LabelledTexts
from keras_seq.errors import UserError
from keras_seq.metrics import classification_metrics
from keras_seq.models import TextClassifier, load_model
from keras_seq.text import SentencePieceTokenizer
from keras_seq.training.callbacks import MetricsLog, SaveBest
from keras_seq.training.run import Run, write_json

VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class ClassifierSettings:
    """How a classifier is built and trained. `BACKBONES` has the defaults of each backbone."""

    backbone: str = "lstm"
    vocabulary_size: int = 8000
    max_length: int = 320
    embedding_dim: int = 64
    hidden_dim: int = 64
    num_layers: int = 1
    num_heads: int = 4
    pooling: str = "max"
    dropout: float = 0.4
    epochs: int = 2
    batch_size: int = 64
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "max_length", "hidden_dim", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is 1 or more. Received: {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is in [0, 1). Received: {self.dropout}")
        if not 0 < self.learning_rate < 10:
            raise UserError(f"learning_rate is above 0. Received: {self.learning_rate}")


BACKBONES = {
    "rnn": ClassifierSettings("rnn", learning_rate=1e-3, dropout=0.3, epochs=3),
    "lstm": ClassifierSettings("lstm"),
    "transformer": ClassifierSettings(
        "transformer", num_layers=2, pooling="mean", dropout=0.2, learning_rate=1e-3
    ),
}


def build_classifier(
    settings: ClassifierSettings, tokenizer: SentencePieceTokenizer, labels: tuple[str, ...]
) -> TextClassifier:
    """The classifier that `settings` describe, not yet trained.

    Raises:
        UserError: If the settings do not fit together.
    """
    try:
        return TextClassifier(
            _backbone(settings, tokenizer.vocabulary_size),
            tokenizer,
            labels,
            max_length=settings.max_length,
            pooling=settings.pooling,
            dropout=settings.dropout,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _backbone(settings: ClassifierSettings, vocabulary_size: int) -> Backbone:
    if settings.backbone == "transformer":
        return TransformerBackbone(
            vocabulary_size,
            settings.hidden_dim,
            num_layers=settings.num_layers,
            num_heads=settings.num_heads,
            max_length=settings.max_length,
            dropout=settings.dropout,
        )
    return RecurrentBackbone(
        vocabulary_size,
        settings.hidden_dim,
        cell=settings.backbone,
        num_layers=settings.num_layers,
        embedding_dim=settings.embedding_dim,
        bidirectional=True,
        dropout=settings.dropout,
    )


def train_classifier(
    corpus: Corpus,
    settings: ClassifierSettings,
    run: Run,
    source: Mapping[str, Any],
    verbose: int | str = "auto",
) -> TextClassifier:
    """Trains on `corpus.train`, keeps the best epoch in `run`, evaluates on `corpus.held_out`.

    A twentieth of the training examples chooses the best epoch.

    Args:
        corpus: What to learn.
        settings: How.
        run: A new run; its folder is made once data and settings have proven usable.
        source: What `data.load` takes to load `corpus` again.
        verbose: As in `keras.Model.fit`.

    Returns:
        The best epoch's classifier.

    Raises:
        UserError: If the data cannot be learnt from or the settings do not fit together.
    """
    keras.utils.set_random_seed(settings.seed)
    validation_count = max(1, round(len(corpus.train) * VALIDATION_SHARE))
    train, validation = corpus.train.hold_out(validation_count)
    labels = corpus.classes()
    stage(
        f"{corpus.name}: {len(train):,} examples to learn from, {len(validation):,} to choose the "
        f"best epoch, {len(corpus.held_out):,} held out; labels: {', '.join(labels)}"
    )
    stage(f"Learning a vocabulary of at most {settings.vocabulary_size:,} pieces")
    tokenizer = SentencePieceTokenizer.train(
        train.texts, settings.vocabulary_size, seed=settings.seed
    )
    classifier = build_classifier(settings, tokenizer, labels)
    run.start({"task": "classify", "data": dict(source), "settings": asdict(settings)})
    classifier.compile(
        keras.optimizers.Adam(settings.learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    stage(f"Training {classifier.count_params():,} parameters for {settings.epochs} epochs")
    token_ids, indices = classifier.preprocess(train.texts, train.labels)
    classifier.fit(
        ShuffledBatches(token_ids, indices, settings.batch_size, settings.seed),
        epochs=settings.epochs,
        validation_data=(validation.texts, validation.labels),
        validation_batch_size=settings.batch_size,
        callbacks=[SaveBest(run.model_path), MetricsLog(run.metrics_path)],
        shuffle=False,
        verbose=verbose,
    )
    best = load_model(run.model_path)
    write_json(run.evaluation_path, evaluate_classifier(best, corpus.held_out, corpus.name))
    return best


def evaluate_classifier(
    classifier: TextClassifier, examples: LabelledTexts, name: str
) -> dict[str, Any]:
    """Metrics of `classifier` on `examples`; see `classification_metrics`.

    Raises:
        UserError: If a label is none of the classifier's.
    """
    token_ids, indices = classifier.preprocess(examples.texts, examples.labels)
    probabilities = classifier.predict(token_ids, batch_size=100, verbose=0)
    metrics = classification_metrics(indices, np.argmax(probabilities, axis=-1), classifier.labels)
    return {"data": name, **metrics}


def settings_for(backbone: str, **changes: Any) -> ClassifierSettings:
    """The defaults of `backbone` with what is not None in `changes` put in their place."""
    return replace(
        BACKBONES[backbone], **{name: value for name, value in changes.items() if value is not None}
    )
