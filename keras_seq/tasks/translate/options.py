"""How texts are translated, as a user says it. Plain data: imports nothing heavy."""

from dataclasses import dataclass

from keras_seq.options import option
from keras_seq.tasks.prediction import PROMPTS, SEARCH, TRANSLATION, PredictionOptions


@dataclass(frozen=True, kw_only=True)
class TranslationOptions(PredictionOptions):
    """Options of `keras-seq predict` for translators; None leaves the default."""

    max_new_tokens: int | None = option(
        None, "largest number of tokens to write", group=PROMPTS, metavar="N"
    )
    num_beams: int | None = option(
        None, "number of beams", group=SEARCH, default_text="4", aliases=("beam",)
    )
    length_penalty: float | None = option(
        None, "larger values prefer longer texts", group=SEARCH, default_text="0.6"
    )
    alternatives: int | None = option(
        None, "print the N best translations with their scores", group=TRANSLATION
    )
    attention: str | None = option(
        None,
        "save a plot of the attention as a .png, .svg or .pdf file",
        group=TRANSLATION,
        metavar="FILE",
    )
    min_new_tokens: int | None = option(
        None, "smallest number of tokens to write", group=TRANSLATION, default_text="0"
    )
    no_repeat_ngram: int | None = option(
        None,
        "never write an n-gram of N tokens twice; 0 allows it",
        group=TRANSLATION,
        default_text="0",
    )
    no_split: bool | None = option(
        None,
        "refuse a text that is too long for the model instead of splitting it into sentences",
        group=TRANSLATION,
    )
