"""Trains and evaluates translators."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_seq.backbones import (
    EncoderDecoder,
    RecurrentEncoderDecoder,
    TransformerEncoderDecoder,
)
from keras_seq.console import print_status
from keras_seq.data.pairs import PairCorpus, Pairs
from keras_seq.data.tokens import sample_segmentations, tokenize_cached
from keras_seq.errors import UserError
from keras_seq.models import Translator
from keras_seq.tasks.translate.batches import HeldOutPairs, PairBatches
from keras_seq.tasks.translate.metrics import translation_metrics
from keras_seq.text import ByteTokenizer, Tokenizer
from keras_seq.text.token_rows import TokenRows
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.training.devices import Devices
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.run import Run
from keras_seq.training.session import begin, conducted, tokenizer_for
from keras_seq.training.settings import TrainingSettings
from keras_seq.training.trainer import train

TOKENIZERS = ("sentencepiece", "bytes")
EVALUATED_AT_ONCE = 64
VALIDATED = 500  # Pairs translated after each epoch, with one beam.


@dataclass(frozen=True, kw_only=True)
class TranslationSettings(TrainingSettings):
    """How a translator is built and trained. `BACKBONES` has the defaults of each backbone.

    Attributes:
        batch_tokens: Places of a batch on either side, padding included, in place of `batch_size`.
        max_length: Tokens of a source, and of a target; longer ones are cut in training.
        intermediate_dim: Width of a Transformer's feed-forward networks.
        beam: Of the search that the results are reported with.
        subword_alpha: Texts are cut into pieces in other ways each epoch; see `Tokenizer.sample`.
            0 for the best way, always.
        r_drop: How much two passes with different dropout have to agree; see
            `Translator.compute_loss`. Takes twice the time. 0 for one pass.
        init_from: A translator to begin with, its vocabulary and its shape included.
    """

    backbone: str = "transformer"
    tokenizer: str = "sentencepiece"
    vocabulary_size: int = 8000
    max_length: int = 100
    hidden_dim: int = 128
    intermediate_dim: int = 256
    num_layers: int = 2
    num_heads: int = 4
    dropout: float = 0.1
    batch_tokens: int = 4096
    epochs: int = 10
    learning_rate: float = 4e-3
    schedule: str = "cosine"
    warmup_steps: int = 100
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    average: float = 0.99
    beam: int = 4
    subword_alpha: float = 0.0
    r_drop: float = 0.0
    init_from: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            "1 or more",
            lambda x: x >= 1,
            "max_length",
            "hidden_dim",
            "intermediate_dim",
            "num_layers",
            "num_heads",
            "beam",
        )
        self._require("261 or more", lambda x: x >= 261, "vocabulary_size")
        self._require("in [0, 1)", lambda x: 0 <= x < 1, "dropout")
        self._require(f"one of {', '.join(TOKENIZERS)}", TOKENIZERS.__contains__, "tokenizer")
        self._require("0 or more", lambda x: x >= 0, "subword_alpha", "r_drop")
        if self.r_drop and not self.dropout:
            raise UserError(
                "r_drop compares two passes that dropout makes differ: give dropout. Received: "
                f"r_drop {self.r_drop} and dropout 0"
            )
        if self.batch_tokens <= self.max_length:
            raise UserError(
                f"batch_tokens is more than max_length, {self.max_length}: the longest pair has to "
                f"fit. Received: {self.batch_tokens}"
            )


BACKBONES = {
    "rnn": TranslationSettings(backbone="rnn", hidden_dim=256, num_layers=1, learning_rate=1e-3),
    "lstm": TranslationSettings(backbone="lstm", hidden_dim=256, num_layers=1, learning_rate=3e-3),
    "transformer": TranslationSettings(),
}


def build_translator(
    settings: TranslationSettings, tokenizer: Tokenizer, source: str = "", target: str = ""
) -> Translator:
    """The translator that `settings` describe, not yet trained.

    Raises:
        UserError: If the settings do not fit together.
    """
    try:
        backbone = _backbone(settings, tokenizer.vocabulary_size)
        return Translator(backbone, tokenizer, settings.max_length, source, target)
    except ValueError as error:
        raise UserError(str(error)) from error


def _backbone(settings: TranslationSettings, vocabulary_size: int) -> EncoderDecoder:
    sizes: dict[str, Any] = {
        "num_layers": settings.num_layers,
        "num_heads": settings.num_heads,
        "dropout": settings.dropout,
    }
    if settings.backbone == "transformer":
        return TransformerEncoderDecoder(
            vocabulary_size,
            settings.hidden_dim,
            intermediate_dim=settings.intermediate_dim,
            max_length=settings.max_length + 1,
            **sizes,
        )
    return RecurrentEncoderDecoder(
        vocabulary_size, settings.hidden_dim, cell=settings.backbone, **sizes
    )


def translator_from(
    initial: Any, settings: TranslationSettings, source: str = "", target: str = ""
) -> Translator:
    """A translator that begins as `initial` is, with the dropout of `settings`.

    Raises:
        UserError: If it is none.
    """
    if not isinstance(initial, Translator):
        raise UserError(
            f"{settings.init_from} is no translator to begin with: it is a "
            f"{type(initial).__name__}. Make one with: keras-seq train translate"
        )
    backbone = type(initial.backbone).from_config(
        {**initial.backbone.get_config(), "dropout": settings.dropout}
    )
    model = Translator(backbone, initial.tokenizer, initial.max_length, source, target)
    model.set_weights(initial.get_weights())
    return model


def train_translator(
    corpus: PairCorpus,
    settings: TranslationSettings,
    run: Run,
    source: Mapping[str, Any],
    devices: Devices | None = None,
    visible: bool = True,
) -> Translator | None:
    """Trains on `corpus.train`, keeps in `run` the epoch that has the best BLEU on
    `corpus.validation`, evaluates on `corpus.held_out`. A run that was begun goes on.

    Args:
        corpus: What to learn.
        settings: How.
        run: A new run; its folder is made once data and settings have proven usable. Or one that
            was begun with the same corpus and settings.
        source: What `data.load_pairs` takes to load `corpus` again.
        devices: Where; one device by default.
        visible: Show the progress.

    Returns:
        The best epoch's translator; None in a process that is not the first of several.

    Raises:
        UserError: If the data cannot be learnt from or the settings do not fit together.
    """
    devices = devices or Devices()
    return conducted(
        run,
        settings,
        devices,
        lambda: _train(corpus, settings, run, source, devices, visible),
        lambda model: evaluate_translator(model, corpus.held_out, corpus.name, settings.beam),
    )


def _train(
    corpus: PairCorpus,
    settings: TranslationSettings,
    run: Run,
    source: Mapping[str, Any],
    devices: Devices,
    visible: bool,
) -> None:
    say = print_status if visible and devices.chief else lambda text: None
    say(
        f"{corpus.name}, {corpus.source or 'source'} to {corpus.target or 'target'}: "
        f"{len(corpus.train):,} pairs to learn from, {len(corpus.validation):,} to choose the best "
        f"epoch, {len(corpus.held_out):,} held out"
        + (f"; {corpus.dropped:,} dropped, a side of them is empty" if corpus.dropped else "")
    )
    both = [*corpus.train.sources, *corpus.train.targets]
    initial = None
    if settings.init_from:
        initial = run.initial(settings.init_from)
        model = translator_from(initial, settings, corpus.source, corpus.target)
        tokenizer = model.tokenizer
        say(f"Beginning with {settings.init_from}")
    else:
        tokenizer = tokenizer_for(
            run,
            settings.tokenizer,
            settings.vocabulary_size,
            both,
            settings.seed,
            say,
            split_digits=True,
        )
        model = build_translator(settings, tokenizer, corpus.source, corpus.target)
    if settings.subword_alpha and isinstance(tokenizer, ByteTokenizer):
        raise UserError(
            "Bytes are cut in one way only: give no subword_alpha, or another tokenizer than "
            f"bytes. Received: {settings.subword_alpha}"
        )
    tokens = tokenize_cached(tokenizer, both)

    def draw(epoch: int) -> TokenRows:
        return sample_segmentations(tokenizer, both, settings.subword_alpha, settings.seed + epoch)

    def batches_of(
        tokens: TokenRows, draw: Callable[[int], TokenRows] | None = None
    ) -> PairBatches:
        return PairBatches(
            tokens, settings.batch_tokens, model.max_length, settings.seed, BEGINNING, END, draw
        )

    batches = batches_of(tokens, draw if settings.subword_alpha else None)
    longer = int((tokens.lengths > model.max_length).sum())
    if longer:
        say(f"{longer:,} sides of pairs are longer than {model.max_length} tokens and are cut")
    some = corpus.validation.take(range(min(VALIDATED, len(corpus.validation))))
    sides = [*corpus.validation.sources, *corpus.validation.targets]
    validation = HeldOutPairs(batches_of(tokenize_cached(tokenizer, sides)), EVALUATED_AT_ONCE)
    optimizer = settings.optimizer(settings.epochs * len(batches))
    begin(
        run,
        "translate",
        corpus.name,
        source,
        tokens.fingerprint(),
        settings,
        tokenizer,
        devices,
        say,
        initial,
    )
    model.r_drop = settings.r_drop
    model.compile(optimizer, CrossEntropy(settings.label_smoothing, from_logits=True))
    say(
        f"Training {model.count_params():,} parameters for {settings.epochs} × {len(batches):,} "
        f"steps of {settings.batch_tokens:,} tokens"
    )

    def scores() -> dict[str, float]:
        found = model.translate(some.sources, beam=1)
        metrics = translation_metrics(found, some.targets, corpus.target)
        return {name: metrics[name] for name in ("bleu", "chrf", "exact")}

    train(
        model,
        batches,
        validation,
        run,
        settings,
        devices,
        monitor="bleu",
        visible=visible,
        scores=scores,
    )


def evaluate_translator(
    model: Translator, pairs: Pairs, name: str, beam: int = 4
) -> dict[str, Any]:
    """How well `model` translates `pairs`; see `translation_metrics`.

    Returns:
        The metrics, of which data, with how many beams, and how many translations were "cut".
    """
    found = [hypotheses[0] for hypotheses in model.hypotheses(pairs.sources, beam=beam)]
    texts = [hypothesis.text for hypothesis in found]
    return {
        "data": name,
        "beam": beam,
        **translation_metrics(texts, pairs.targets, model.target),
        "cut": sum(not hypothesis.ended for hypothesis in found),
    }
