"""Prepares a translator for training, and evaluates one."""

from collections.abc import Callable
from typing import Any

from keras_seq.data.corpus import Pairs
from keras_seq.data.tokens import sample_segmentations, tokenize_cached
from keras_seq.errors import UserError
from keras_seq.tasks.loading import load_initial
from keras_seq.tasks.translate.architecture import make_parts
from keras_seq.tasks.translate.batches import HeldOutPairs, PairBatches
from keras_seq.tasks.translate.metrics import translation_metrics
from keras_seq.tasks.translate.model import Translator
from keras_seq.tasks.translate.settings import TranslatorSettings
from keras_seq.text import ByteTokenizer, Tokenizer
from keras_seq.text.token_rows import TokenRows
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.session import Session, TrainingPlan

EVAL_BATCH_PAIRS = 64
VALIDATION_PAIRS = 500  # translated after each epoch, with one beam


def prepare(session: Session) -> TrainingPlan:
    """Prepares a translator and its data. BLEU on the validation pairs selects the best epoch."""
    corpus, settings = session.corpus, session.settings
    source, target, dropped = (corpus.details[name] for name in ("source", "target", "dropped"))
    session.print_status(
        f"{corpus.name}, {source or 'source'} to {target or 'target'}: {len(corpus.train):,} pairs "
        f"to learn from, {len(corpus.validation):,} to choose the best epoch, "
        f"{len(corpus.held_out):,} held out"
        + (f"; {dropped:,} dropped, a side of them is empty" if dropped else "")
    )
    texts = [*corpus.train.sources, *corpus.train.targets]
    initial = None
    if settings.init_from:
        initial = load_initial(session.run, settings.init_from)
        model = build_translator_from(initial, settings, source, target)
        session.print_status(f"Beginning with {settings.init_from}")
    else:
        tokenizer = session.load_or_train_tokenizer(texts, split_digits=True)
        model = build_translator(settings, tokenizer, source, target)
    tokenizer = model.tokenizer
    if settings.subword_alpha and isinstance(tokenizer, ByteTokenizer):
        raise UserError(
            "Bytes are cut in one way only: give no subword_alpha, or another tokenizer than "
            f"bytes. Received: {settings.subword_alpha}"
        )
    model.r_drop = settings.r_drop
    tokens = tokenize_cached(tokenizer, texts)
    longer = int((tokens.lengths > model.max_length).sum())
    if longer:
        session.print_status(
            f"{longer:,} sides of pairs are longer than {model.max_length} tokens and are cut"
        )

    def sample(epoch: int) -> TokenRows:
        return sample_segmentations(tokenizer, texts, settings.subword_alpha, settings.seed + epoch)

    def make_batches(
        tokens: TokenRows, sample: Callable[[int], TokenRows] | None = None
    ) -> PairBatches:
        return PairBatches(
            tokens, settings.batch_tokens, model.max_length, settings.seed, BEGINNING, END, sample
        )

    validation = corpus.validation
    first = validation.take(range(min(VALIDATION_PAIRS, len(validation))))

    def scores() -> dict[str, float]:
        translations = model.translate(first.sources, num_beams=1)
        metrics = translation_metrics(translations, first.targets, target)
        return {name: metrics[name] for name in ("bleu", "chrf", "exact")}

    validation_tokens = tokenize_cached(tokenizer, [*validation.sources, *validation.targets])
    return TrainingPlan(
        model=model,
        batches=make_batches(tokens, sample if settings.subword_alpha else None),
        validation=HeldOutPairs(make_batches(validation_tokens), EVAL_BATCH_PAIRS),
        fingerprint=tokens.fingerprint(),
        loss=CrossEntropy(settings.label_smoothing, from_logits=True),
        monitor="bleu",
        scores=scores,
        initial=initial,
    )


def build_translator(
    settings: TranslatorSettings, tokenizer: Tokenizer, source: str = "", target: str = ""
) -> Translator:
    """Builds the translator that `settings` describe, with random weights.

    Raises:
        UserError: If the settings don't fit together.
    """
    try:
        return Translator(tokenizer=tokenizer, source=source, target=target, **make_parts(settings))
    except ValueError as error:
        raise UserError(str(error)) from error


def build_translator_from(
    initial: Any, settings: TranslatorSettings, source: str = "", target: str = ""
) -> Translator:
    """Builds a translator that begins with the weights of `initial`.

    Raises:
        UserError: If `initial` is not a translator.
    """
    if not isinstance(initial, Translator):
        raise UserError(
            f"{settings.init_from} is no translator to begin with: it is a "
            f"{type(initial).__name__}. Make one with: keras-seq train translate"
        )
    config = {**initial.backbone.get_config(), "dropout": settings.dropout}
    backbone = type(initial.backbone).from_config(config)
    model = Translator(backbone, initial.tokenizer, initial.max_length, source, target)
    model.set_weights(initial.get_weights())
    return model


def evaluate(
    model: Translator, examples: Pairs, name: str, num_beams: int = TranslatorSettings.num_beams
) -> dict[str, Any]:
    """Evaluates a translator on pairs; see `translation_metrics`.

    Returns:
        The metrics, with the "data", the "num_beams", and how many translations were "cut".
    """
    best = [beams[0] for beams in model.hypotheses(examples.sources, num_beams=num_beams)]
    return {
        "data": name,
        "num_beams": num_beams,
        **translation_metrics([h.text for h in best], examples.targets, model.target),
        "cut": sum(not hypothesis.ended for hypothesis in best),
    }
