"""The options of `keras-seq predict`: their base, and the titles of their groups."""

from dataclasses import dataclass

from keras_seq.options import Options

PROMPTS = "prompts"
SAMPLING = "sampling"
SEARCH = "beam search"
TRANSLATION = "translation"


@dataclass(frozen=True, kw_only=True)
class PredictionOptions(Options):
    """Base: a task's options are fields; None leaves the model's default."""

    def extra_texts(self) -> list[str]:
        """Returns texts that the options hold, which are answered before the others."""
        return []
