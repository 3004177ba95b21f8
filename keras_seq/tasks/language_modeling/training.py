"""Prepares language models for training: those that continue a text, and those that fill gaps."""

from collections.abc import Callable

from keras_seq.data.batches import Batches, HeldOutBlocks, PackedBatches
from keras_seq.data.tokens import tokenize_cached
from keras_seq.errors import UserError
from keras_seq.tasks.language_modeling.architecture import make_parts
from keras_seq.tasks.language_modeling.model import LanguageModel
from keras_seq.tasks.language_modeling.settings import LanguageModelSettings
from keras_seq.text import Tokenizer
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.session import Session, TrainingPlan

VALIDATION_TOKENS = 200_000  # of the held-out texts, to select the best epoch by
EVAL_BATCH_TOKENS = 4096  # tokens per batch when a model is evaluated, about


def prepare_language_model(
    session: Session,
    model_class: type[LanguageModel],
    make_batches: Callable[[Batches, Tokenizer, int], Batches],
) -> TrainingPlan:
    """Prepares a language model and its data.

    The first 200,000 tokens of the held-out texts select the best epoch.

    Args:
        session: The session.
        model_class: The class of the model.
        make_batches: Turns blocks of tokens into what is learnt of them; also takes the tokenizer
            and the seed.
    """
    corpus, settings = session.corpus, session.settings
    train, held_out = corpus.train.texts, corpus.held_out.texts
    characters, others = (sum(map(len, texts)) for texts in (train, held_out))
    session.print_status(
        f"{corpus.name}: {characters:,} characters to learn from (texts: {len(train):,}), "
        f"{others:,} characters held out"
    )
    tokenizer = session.load_or_train_tokenizer(train)
    model = build_language_model(model_class, settings, tokenizer)
    tokens = tokenize_cached(tokenizer, train)
    batches = PackedBatches(
        tokens.join(BEGINNING, END),
        settings.batch_size,
        settings.max_length,
        settings.seed,
        settings.steps_per_epoch or None,
        BEGINNING,
    )
    return TrainingPlan(
        model=model,
        batches=make_batches(batches, tokenizer, settings.seed),
        validation=make_batches(
            held_out_blocks(tokenizer, held_out, settings.max_length), tokenizer, settings.seed
        ),
        fingerprint=tokens.fingerprint(),
        loss=CrossEntropy(settings.label_smoothing, from_logits=True),
    )


def held_out_blocks(tokenizer: Tokenizer, texts: list[str], block: int) -> HeldOutBlocks:
    """Returns the first tokens of the held-out texts in blocks of `block` tokens."""
    ids = tokenize_cached(tokenizer, texts).join(BEGINNING, END)[:VALIDATION_TOKENS]
    return HeldOutBlocks(ids, max(1, EVAL_BATCH_TOKENS // block), block)


def build_language_model(
    model_class: type[LanguageModel],
    settings: LanguageModelSettings,
    tokenizer: Tokenizer,
) -> LanguageModel:
    """Builds the model that `settings` describe, with random weights.

    Raises:
        UserError: If the settings don't fit together.
    """
    try:
        return model_class(tokenizer=tokenizer, **make_parts(settings, model_class.causal))
    except ValueError as error:
        raise UserError(str(error)) from error
