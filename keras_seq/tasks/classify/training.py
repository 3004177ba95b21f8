"""Prepares a text classifier for training, and evaluates one."""

from typing import Any

import numpy as np

from keras_seq.backbones import Backbone
from keras_seq.data.batches import HeldOutBatches, TextBatches
from keras_seq.data.corpus import LabelledTexts
from keras_seq.data.tokens import tokenize_cached
from keras_seq.errors import UserError
from keras_seq.tasks.classify.architecture import make_parts
from keras_seq.tasks.classify.data import all_classes
from keras_seq.tasks.classify.metrics import classification_metrics
from keras_seq.tasks.classify.model import TextClassifier
from keras_seq.tasks.classify.settings import ClassifierSettings
from keras_seq.tasks.loading import load_initial
from keras_seq.text import Tokenizer
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.session import Session, TrainingPlan

VALIDATION_SHARE = 0.05
MIN_VALIDATION_EXAMPLES = 100  # Fewer hardly tell two epochs apart; but a fifth of all at most.


def prepare(session: Session) -> TrainingPlan:
    """Prepares a classifier and its data.

    A twentieth of the training examples selects the best epoch; of few, 100 or a fifth.
    """
    corpus, settings = session.corpus, session.settings
    labelled = corpus.train.at_most(settings.limit) if settings.limit else corpus.train
    count = max(
        round(len(labelled) * VALIDATION_SHARE), min(MIN_VALIDATION_EXAMPLES, len(labelled) // 5)
    )
    train, validation = labelled.hold_out(max(1, count))
    labels = all_classes(corpus)
    session.print_status(
        f"{corpus.name}: {len(train):,} examples to learn from, {len(validation):,} to choose the "
        f"best epoch, {len(corpus.held_out):,} held out; labels: {', '.join(labels)}"
    )
    initial = None
    if settings.init_from:
        initial = load_initial(session.run, settings.init_from)
        model = build_classifier_from(initial, settings, labels)
        session.print_status(f"Beginning with the backbone of {settings.init_from}")
    else:
        tokenizer = session.load_or_train_tokenizer(train.texts)
        model = build_classifier(settings, tokenizer, labels)
    tokens = tokenize_cached(model.tokenizer, train.texts)
    return TrainingPlan(
        model=model,
        batches=TextBatches(
            tokens,
            model.preprocess(None, train.labels)[1],
            settings.batch_size,
            model.max_length,
            settings.seed,
        ),
        validation=HeldOutBatches(
            tokenize_cached(model.tokenizer, validation.texts),
            model.preprocess(None, validation.labels)[1],
            settings.batch_size,
            model.max_length,
        ),
        fingerprint=tokens.fingerprint(),
        loss=CrossEntropy(settings.label_smoothing),
        weighted_metrics=["accuracy"],
        monitor="accuracy",
        factors=layer_factors(model, settings.layer_decay),
        initial=initial,
    )


def build_classifier(
    settings: ClassifierSettings, tokenizer: Tokenizer, labels: tuple[str, ...]
) -> TextClassifier:
    """Builds the classifier that `settings` describe, with random weights.

    Raises:
        UserError: If the settings don't fit together.
    """
    parts = make_parts(settings, tokenizer.vocabulary_size)
    return _build(tokenizer=tokenizer, labels=labels, **parts)


def build_classifier_from(
    initial: Any, settings: ClassifierSettings, labels: tuple[str, ...]
) -> TextClassifier:
    """Builds a classifier that begins with the backbone, embedding and tokenizer of `initial`.

    Raises:
        UserError: If the model has none, or the settings don't fit it.
    """
    if not isinstance(getattr(initial, "backbone", None), Backbone):
        raise UserError(
            f"{settings.init_from} has no backbone to begin with: it is a "
            f"{type(initial).__name__}. Make one with: keras-seq train generate, or unmask"
        )
    config = {**initial.backbone.get_config(), "dropout": settings.dropout}
    backbone = type(initial.backbone).from_config(config)
    embedding = type(initial.embedding).from_config(initial.embedding.get_config())
    if settings.max_length == type(settings).max_length:
        # No length was asked for: at most the backbone's positions.
        limit = backbone.max_length or settings.max_length
        settings = settings.replace(max_length=min(settings.max_length, limit))
    model = _build(
        backbone=backbone,
        tokenizer=initial.tokenizer,
        labels=labels,
        max_length=settings.max_length,
        pooling=settings.pooling,
        dropout=settings.dropout,
        embedding=embedding,
    )
    for layer, source in ((backbone, initial.backbone), (embedding, initial.embedding)):
        layer.set_weights(source.get_weights())
        layer.trainable = not settings.freeze
    return model


def _build(**arguments: Any) -> TextClassifier:
    try:
        return TextClassifier(**arguments)
    except ValueError as error:
        raise UserError(str(error)) from error


def layer_factors(model: TextClassifier, decay: float) -> dict[str, float]:
    """Returns the factor of the learning rate of each variable; the top group's is `decay`."""
    bottom, *others = model.backbone.layer_groups()
    groups = [[model.embedding, *bottom], *others]
    return {
        variable.path: decay ** (len(groups) - i)
        for i, layers in enumerate(groups)
        for layer in layers
        for variable in layer.variables
    }


def evaluate(model: TextClassifier, examples: LabelledTexts, name: str) -> dict[str, Any]:
    """Evaluates a classifier on examples; see `classification_metrics`.

    Raises:
        UserError: If a label is not one of the classifier's.
    """
    token_ids, indices = model.preprocess(examples.texts, examples.labels)
    probabilities = model.predict(token_ids, batch_size=100, verbose=0)
    metrics = classification_metrics(indices, np.argmax(probabilities, axis=-1), model.labels)
    return {"data": name, **metrics}
