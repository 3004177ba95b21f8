"""The parts of a text classifier, as its settings describe them."""

from typing import Any

from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.embeddings import TokenEmbedding
from keras_seq.tasks.classify.settings import ClassifierSettings


def make_parts(settings: ClassifierSettings, vocabulary_size: int) -> dict[str, Any]:
    """Returns arguments of a `TextClassifier`, with random weights."""
    options = {"num_layers": settings.num_layers, "dropout": settings.dropout}
    parts = {name: getattr(settings, name) for name in ("max_length", "pooling", "dropout")}
    if settings.backbone == "transformer":
        backbone = TransformerBackbone(
            settings.hidden_dim,
            num_heads=settings.num_heads,
            max_length=settings.max_length,
            **options,
        )
        return {"backbone": backbone, **parts}
    backbone = RecurrentBackbone(
        settings.hidden_dim, cell=settings.backbone, bidirectional=True, **options
    )
    embedding = TokenEmbedding(vocabulary_size, settings.embedding_dim, name="embedding")
    return {"backbone": backbone, "embedding": embedding, **parts}
