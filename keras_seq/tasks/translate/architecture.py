"""The parts of a translator, as its settings describe them."""

from typing import Any

from keras_seq.backbones import EncoderDecoder, RecurrentEncoderDecoder, TransformerEncoderDecoder
from keras_seq.tasks.translate.settings import TranslatorSettings


def make_parts(settings: TranslatorSettings) -> dict[str, Any]:
    """Returns arguments of a `Translator`, with random weights."""
    options: dict[str, Any] = {
        "num_layers": settings.num_layers,
        "num_heads": settings.num_heads,
        "dropout": settings.dropout,
    }
    if settings.backbone == "transformer":
        backbone: EncoderDecoder = TransformerEncoderDecoder(
            settings.hidden_dim,
            intermediate_dim=settings.intermediate_dim,
            max_length=settings.max_length + 1,
            **options,
        )
    else:
        backbone = RecurrentEncoderDecoder(settings.hidden_dim, cell=settings.backbone, **options)
    return {"backbone": backbone, "max_length": settings.max_length}
