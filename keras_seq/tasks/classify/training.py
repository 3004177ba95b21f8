"""Trains and evaluates a text classifier."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_seq.backbones import Backbone, RecurrentBackbone, TransformerBackbone
from keras_seq.console import print_status
from keras_seq.data.batches import HeldOutBatches, TextBatches
from keras_seq.data.corpus import Corpus, LabelledTexts
from keras_seq.data.tokens import tokenize_cached
from keras_seq.errors import UserError
from keras_seq.models import TextClassifier
from keras_seq.tasks.classify.metrics import classification_metrics
from keras_seq.text import Tokenizer
from keras_seq.training.devices import Devices
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.run import Run
from keras_seq.training.session import begin, conducted, tokenizer_for
from keras_seq.training.settings import TrainingSettings
from keras_seq.training.trainer import train

VALIDATION_SHARE = 0.05
FEWEST_VALIDATED = 100  # Fewer hardly tell two epochs apart; but a fifth of all at most.
TOKENIZERS = ("sentencepiece", "bytes")


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(TrainingSettings):
    """How a classifier is built and trained. `BACKBONES` has the defaults of each backbone.

    Attributes:
        limit: Labelled texts to learn from, those that choose the best epoch included; 0 for all.
        init_from: A run or a model file whose backbone and tokenizer the classifier begins with;
            then what else describes them is not used.
        freeze: That backbone stays as it is; only what stands above it is trained.
        layer_decay: Each level of layers below another learns by this factor more slowly.
    """

    backbone: str = "lstm"
    tokenizer: str = "sentencepiece"
    vocabulary_size: int = 8000
    max_length: int = 320
    embedding_dim: int = 64
    hidden_dim: int = 64
    num_layers: int = 1
    num_heads: int = 4
    pooling: str = "max"
    dropout: float = 0.4
    learning_rate: float = 2e-3
    limit: int = 0
    init_from: str = ""
    freeze: bool = False
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("1 or more", lambda x: x >= 1, "max_length", "hidden_dim", "num_layers")
        self._require("0 for all, or 2 or more", lambda x: x == 0 or x >= 2, "limit")
        self._require("261 or more", lambda x: x >= 261, "vocabulary_size")
        if self.backbone == "transformer" and self.hidden_dim % self.num_heads:
            raise UserError(
                f"A transformer's hidden_dim divides by its {self.num_heads} heads. Received: "
                f"{self.hidden_dim}"
            )
        if self.backbone != "transformer" and self.hidden_dim % 2:
            raise UserError(
                "hidden_dim is even: the two directions of reading share it. Received: "
                f"{self.hidden_dim}"
            )
        self._require("in [0, 1)", lambda x: 0 <= x < 1, "dropout")
        self._require("above 0, 1 at most", lambda x: 0 < x <= 1, "layer_decay")
        for name in ("freeze", "layer_decay"):
            if not self.init_from and getattr(self, name) != getattr(type(self), name):
                raise UserError(
                    f"{name} is for a backbone that was trained before: name it with --init-from."
                )
        if self.freeze and self.layer_decay != 1:
            raise UserError("freeze leaves the backbone as it is: leave layer_decay out.")
        self._require("one of sentencepiece, bytes", TOKENIZERS.__contains__, "tokenizer")


BACKBONES = {
    "rnn": ClassifierSettings(backbone="rnn", learning_rate=1e-3, dropout=0.3, epochs=3),
    "lstm": ClassifierSettings(backbone="lstm"),
    "transformer": ClassifierSettings(
        backbone="transformer", num_layers=2, pooling="mean", dropout=0.2, learning_rate=1e-3
    ),
}


def build_classifier(
    settings: ClassifierSettings,
    tokenizer: Tokenizer,
    labels: tuple[str, ...],
    backbone: Backbone | None = None,
) -> TextClassifier:
    """The classifier that `settings` describe, not yet trained; with their backbone by default.

    Raises:
        UserError: If the settings do not fit together.
    """
    try:
        return TextClassifier(
            backbone or _backbone(settings, tokenizer.vocabulary_size),
            tokenizer,
            labels,
            max_length=settings.max_length,
            pooling=settings.pooling,
            dropout=settings.dropout,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def classifier_from(
    initial: Any, settings: ClassifierSettings, labels: tuple[str, ...]
) -> TextClassifier:
    """A classifier that begins with the backbone and the tokenizer of `initial`.

    Raises:
        UserError: If the model has none, or the settings do not fit it.
    """
    if not isinstance(getattr(initial, "backbone", None), Backbone):
        raise UserError(
            f"{settings.init_from} has no backbone to begin with: it is a "
            f"{type(initial).__name__}. Make one with: keras-seq train generate, or unmask"
        )
    backbone = type(initial.backbone).from_config(
        {**initial.backbone.get_config(), "dropout": settings.dropout}
    )
    backbone.build((None, None))
    backbone.set_weights(initial.backbone.get_weights())
    backbone.trainable = not settings.freeze
    if settings.max_length == type(settings).max_length:
        # Nothing else was asked for: no more than the backbone has place for.
        places = getattr(backbone, "max_length", settings.max_length)
        settings = settings.changed(max_length=min(settings.max_length, places))
    return build_classifier(settings, initial.tokenizer, labels, backbone)


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
    devices: Devices | None = None,
    visible: bool = True,
) -> TextClassifier | None:
    """Trains on `corpus.train`, keeps the best epoch in `run`, evaluates on `corpus.held_out`.

    A twentieth of the training examples chooses the best epoch; of few, 100 or a fifth. A run that
    was begun goes on.

    Args:
        corpus: What to learn.
        settings: How.
        run: A new run; its folder is made once data and settings have proven usable. Or one that
            was begun with the same corpus and settings.
        source: What `data.load` takes to load `corpus` again.
        devices: Where; one device by default.
        visible: Show the progress.

    Returns:
        The best epoch's classifier; None in a process that is not the first of several.

    Raises:
        UserError: If the data cannot be learnt from or the settings do not fit together.
    """
    devices = devices or Devices()
    return conducted(
        run,
        settings,
        devices,
        lambda: _train(corpus, settings, run, source, devices, visible),
        lambda model: evaluate_classifier(model, corpus.held_out, corpus.name),
    )


def _train(
    corpus: Corpus,
    settings: ClassifierSettings,
    run: Run,
    source: Mapping[str, Any],
    devices: Devices,
    visible: bool,
) -> None:
    say = print_status if visible and devices.chief else lambda text: None
    labelled = corpus.train.at_most(settings.limit) if settings.limit else corpus.train
    share = max(round(len(labelled) * VALIDATION_SHARE), min(FEWEST_VALIDATED, len(labelled) // 5))
    learnt, validation = labelled.hold_out(max(1, share))
    labels = corpus.classes()
    say(
        f"{corpus.name}: {len(learnt):,} examples to learn from, {len(validation):,} to choose the "
        f"best epoch, {len(corpus.held_out):,} held out; labels: {', '.join(labels)}"
    )
    initial = None
    if settings.init_from:
        initial = run.initial(settings.init_from)
        classifier = classifier_from(initial, settings, labels)
        tokenizer = classifier.tokenizer
        say(f"Beginning with the backbone of {settings.init_from}")
    else:
        tokenizer = tokenizer_for(
            run, settings.tokenizer, settings.vocabulary_size, learnt.texts, settings.seed, say
        )
        classifier = build_classifier(settings, tokenizer, labels)
    tokens = tokenize_cached(tokenizer, learnt.texts)
    begin(
        run,
        "classify",
        corpus.name,
        source,
        tokens.fingerprint(),
        settings,
        tokenizer,
        devices,
        say,
        initial,
    )
    batches = TextBatches(
        tokens,
        classifier.preprocess(None, learnt.labels)[1],
        settings.batch_size,
        classifier.max_length,
        settings.seed,
    )
    held_out = HeldOutBatches(
        tokenize_cached(tokenizer, validation.texts),
        classifier.preprocess(None, validation.labels)[1],
        settings.batch_size,
        classifier.max_length,
    )
    classifier.compile(
        settings.optimizer(
            settings.epochs * len(batches), _factors(classifier.backbone, settings.layer_decay)
        ),
        CrossEntropy(settings.label_smoothing),
        weighted_metrics=["accuracy"],
    )
    trained = sum(math.prod(v.shape) for v in classifier.trainable_variables)
    say(f"Training {trained:,} parameters for {settings.epochs} epochs")
    train(classifier, batches, held_out, run, settings, devices, visible=visible)


def _factors(backbone: Backbone, decay: float) -> dict[str, float]:
    """The factor of the learning rate of each variable; that of the highest level is `decay`."""
    levels = backbone.levels()
    return {
        variable.path: decay ** (len(levels) - i)
        for i, layers in enumerate(levels)
        for layer in layers
        for variable in layer.variables
    }


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
