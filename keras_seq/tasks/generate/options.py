"""How a text is continued, as a user says it. Plain data: imports nothing heavy."""

from dataclasses import dataclass

from keras_seq.decoding.settings import Sampling
from keras_seq.options import option
from keras_seq.tasks.prediction import PROMPTS, SAMPLING, SEARCH, PredictionOptions


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(PredictionOptions):
    """Options of `keras-seq predict` for text generators; None leaves the default."""

    prompt: list[str] | None = option(
        None, 'text to continue; "" begins a text; may be repeated', group=PROMPTS, metavar="TEXT"
    )
    max_new_tokens: int | None = option(
        None, "largest number of tokens to add", group=PROMPTS, metavar="N"
    )
    truncate: bool | None = option(None, "read the end of a prompt that is too long", group=PROMPTS)
    temperature: float | None = option(
        None,
        "0 selects the likeliest token, below 1 favours likely ones",
        group=SAMPLING,
        default_text=f"{Sampling.temperature:g}",
    )
    top_k: int | None = option(
        None,
        "sample from the N likeliest tokens; 0 for all",
        group=SAMPLING,
        default_text=f"{Sampling.top_k}",
    )
    top_p: float | None = option(
        None,
        "sample from the likeliest tokens whose probabilities add up to X",
        group=SAMPLING,
        default_text=f"{Sampling.top_p:g}",
    )
    repetition_penalty: float | None = option(
        None,
        "above 1, earlier tokens become less likely",
        group=SAMPLING,
        default_text=f"{Sampling.repetition_penalty:g}",
    )
    stop: list[str] | None = option(
        None, "text that ends the output; may be repeated", group=SAMPLING, metavar="TEXT"
    )
    seed: int | None = option(
        None, "random seed: the same seed gives the same text", group=SAMPLING
    )
    num_beams: int | None = option(
        None,
        "search for the likeliest text with N beams",
        group=SEARCH,
        default_text="sampling",
        aliases=("beam",),
    )
    length_penalty: float | None = option(
        None,
        "larger values prefer longer texts",
        group=SEARCH,
        default_text="0, the likeliest",
    )

    def extra_texts(self) -> list[str]:
        """Returns the prompts."""
        return self.prompt or []
