"""How a language model is built and trained. Plain data: imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keras_seq.errors import UserError
from keras_seq.options import option, override
from keras_seq.tasks.text_settings import TextSettings
from keras_seq.training.settings import AT_LEAST_0, MODEL, TRAINING


@dataclass(frozen=True, kw_only=True)
class LanguageModelSettings(TextSettings):
    """The settings of a language model; `BACKBONES` has the defaults of each backbone."""

    tokenizer: str = "bytes"
    max_length: int = override(
        TextSettings,
        "max_length",
        256,
        help="sequence length in tokens; also the context limit of a transformer",
        check=("from 2 to 1,000,000", lambda x: 2 <= x <= 1_000_000),
    )
    num_layers: int = 4
    tie_embeddings: bool = option(
        True, "the softmax shares its weights with the embedding", group=MODEL
    )
    scale_embedding: bool = option(
        True,
        "multiply the embedding's vectors by the root of their width: without it recurrent layers "
        "learn nothing for a thousand steps",
        group=MODEL,
    )
    steps_per_epoch: int = option(
        250,
        "steps between two evaluations; 0 for a pass over the data",
        group=TRAINING,
        check=AT_LEAST_0,
    )
    epochs: int = 4
    batch_size: int = 16
    learning_rate: float = 4e-3
    schedule: str = "cosine"
    warmup_steps: int | None = override(
        TextSettings, "warmup_steps", None, default_text="100, or a tenth of a short run"
    )
    weight_decay: float = 0.1
    clip_norm: float = 1.0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Returns the settings in `values`; a run from before embeddings were scaled goes on so."""
        return super().from_mapping({"scale_embedding": False, **values})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone == "transformer" and self.hidden_dim % (2 * self.num_heads):
            raise UserError(
                f"A transformer's hidden_dim divides by its {self.num_heads} heads, into an even "
                f"width of each. Received: {self.hidden_dim}"
            )


BACKBONES = {
    "transformer": LanguageModelSettings(),
    "rnn": LanguageModelSettings(
        backbone="rnn", hidden_dim=256, num_layers=2, learning_rate=1e-3, weight_decay=0.0
    ),
    "lstm": LanguageModelSettings(backbone="lstm", hidden_dim=256, num_layers=2, weight_decay=0.0),
}
