"""How a translator is built and trained. Plain data: imports nothing heavy."""

from dataclasses import dataclass

from keras_seq.errors import UserError
from keras_seq.options import option, override
from keras_seq.tasks.text_settings import TextSettings
from keras_seq.training.settings import AT_LEAST_0, AT_LEAST_1, MODEL, PRETRAINING, TRAINING, WIDTH


@dataclass(frozen=True, kw_only=True)
class TranslatorSettings(TextSettings):
    """The settings of a translator; `BACKBONES` has the defaults of each backbone."""

    max_length: int = override(
        TextSettings,
        "max_length",
        100,
        help="tokens of a text on either side; longer ones are cut",
    )
    intermediate_dim: int = option(
        256,
        "width of a transformer's feed-forward networks",
        group=MODEL,
        check=WIDTH,
        applies="backbone=transformer",
    )
    num_layers: int = override(
        TextSettings, "num_layers", 2, help="number of layers of the encoder, and of the decoder"
    )
    num_heads: int = override(
        TextSettings, "num_heads", 4, help="number of heads of each attention", applies=None
    )
    num_beams: int = option(
        4,
        "number of beams used in evaluation",
        group=MODEL,
        check=AT_LEAST_1,
        aliases=("beam",),
    )
    init_from: str = option(
        "",
        "translator to begin with: a run, a .keras file or a preset; settings that describe its "
        "vocabulary and its shape are not used",
        group=PRETRAINING,
        metavar="RUN",
        default_text="random weights",
    )
    batch_tokens: int = option(
        4096,
        "tokens per step on either side, padding included",
        group=TRAINING,
        check=AT_LEAST_1,
    )
    epochs: int = 10
    learning_rate: float = 4e-3
    schedule: str = "cosine"
    warmup_steps: int | None = override(
        TextSettings, "warmup_steps", None, default_text="100, or a tenth of a short run"
    )
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    average: float | None = override(
        TextSettings, "average", None, default_text="0.99, or less in a short run"
    )
    subword_alpha: float = option(
        0.0,
        "segment texts at random in each epoch, such as 0.2; the smaller, the more freely; for "
        "little text and long training; 0 for the best segmentation always",
        group=TRAINING,
        check=AT_LEAST_0,
    )
    r_drop: float = option(
        0.0,
        "weight of the distance between two predictions with different dropout, such as 5; for "
        "little text, takes twice the time; 0 for one prediction",
        group=TRAINING,
        check=AT_LEAST_0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.r_drop and not self.dropout:
            raise UserError(
                "r_drop compares two predictions that dropout makes different: set dropout. "
                f"Received: r_drop {self.r_drop} and dropout 0"
            )
        if self.batch_tokens <= self.max_length:
            raise UserError(
                f"batch_tokens is more than max_length, {self.max_length}: the longest pair has to "
                f"fit. Received: {self.batch_tokens}"
            )


BACKBONES = {
    "transformer": TranslatorSettings(),
    "rnn": TranslatorSettings(backbone="rnn", hidden_dim=256, num_layers=1, learning_rate=1e-3),
    "lstm": TranslatorSettings(backbone="lstm", hidden_dim=256, num_layers=1, learning_rate=3e-3),
}
