"""The settings that all tasks on texts share. Plain data: imports nothing heavy."""

from dataclasses import dataclass

from keras_seq.options import option
from keras_seq.training.settings import LAYERS, LENGTH, MODEL, SHARE, WIDTH, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class TextSettings(TrainingSettings):
    """Settings of the tokenizer and the backbone."""

    backbone: str = option(
        "transformer", "architecture", group=MODEL, choices=("rnn", "lstm", "transformer")
    )
    tokenizer: str = option(
        "sentencepiece",
        "what a token is: a piece learnt from the texts, or a byte",
        group=MODEL,
        choices=("sentencepiece", "bytes"),
    )
    vocabulary_size: int = option(
        8000,
        "largest number of pieces",
        group=MODEL,
        check=("from 261 to 1,000,000", lambda x: 261 <= x <= 1_000_000),
        applies="tokenizer=sentencepiece",
    )
    max_length: int = option(320, "tokens read of a text", group=MODEL, check=LENGTH)
    hidden_dim: int = option(128, "width of the model", group=MODEL, check=WIDTH)
    num_layers: int = option(1, "number of layers", group=MODEL, check=LAYERS)
    num_heads: int = option(
        4,
        "number of attention heads of a transformer",
        group=MODEL,
        check=WIDTH,
        applies="backbone=transformer",
    )
    dropout: float = option(0.1, "dropout rate", group=MODEL, check=SHARE)
