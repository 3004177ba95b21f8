"""The parts of a language model, as its settings describe them."""

from typing import Any

from keras_seq.backbones import Backbone, RecurrentBackbone, TransformerBackbone
from keras_seq.tasks.language_modeling.settings import LanguageModelSettings


def make_parts(settings: LanguageModelSettings, causal: bool) -> dict[str, Any]:
    """Returns arguments of a `LanguageModel`, with random weights.

    Args:
        settings: The settings.
        causal: Whether a token is predicted from earlier ones only.
    """
    options = {"num_layers": settings.num_layers, "dropout": settings.dropout}
    if settings.backbone == "transformer":
        backbone: Backbone = TransformerBackbone(
            settings.hidden_dim,
            num_heads=settings.num_heads,
            max_length=settings.max_length,
            positions="rotary",
            causal=causal,
            **options,
        )
    else:
        backbone = RecurrentBackbone(
            settings.hidden_dim, cell=settings.backbone, bidirectional=not causal, **options
        )
    return {
        "backbone": backbone,
        "max_length": settings.max_length,
        "tie_embeddings": settings.tie_embeddings,
        "scale_embedding": settings.scale_embedding,
    }
