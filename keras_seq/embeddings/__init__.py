"""What turns an input into the vectors that a backbone reads."""

from keras_seq.embeddings.token_embedding import TokenEmbedding, token_mask

__all__ = ["TokenEmbedding", "token_mask"]


def __dir__() -> list[str]:
    return sorted(__all__)
