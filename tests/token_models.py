"""Backbones under a token embedding, as tests call them with ids."""

from keras_seq.embeddings import TokenEmbedding, token_mask


class TokenBackbone:
    """A backbone that takes token ids: what a model of ours does, and no more."""

    def __init__(self, backbone, vocabulary_size, dim=None):
        self.backbone = backbone
        self.embedding = TokenEmbedding(vocabulary_size, dim or backbone.hidden_dim)

    def __getattr__(self, name):
        return getattr(self.backbone, name)

    def __call__(self, ids, **options):
        return self.backbone(self.embedding(ids), mask=token_mask(ids), **options)

    @property
    def trainable_weights(self):
        return [*self.embedding.trainable_weights, *self.backbone.trainable_weights]

    def step(self, ids, state):
        return self.backbone.step(self.embedding(ids), state, token_mask(ids))

    def prefill(self, ids, length, cache_length):
        return self.backbone.prefill(self.embedding(ids), length, cache_length, token_mask(ids))


class TokenEncoderDecoder:
    """An encoder-decoder that takes token ids of a source and a target."""

    def __init__(self, backbone, vocabulary_size):
        self.backbone = backbone
        self.embedding = TokenEmbedding(vocabulary_size, backbone.hidden_dim, scaled=True)

    def __getattr__(self, name):
        return getattr(self.backbone, name)

    def __call__(self, ids):
        source, target = ids
        vectors = self.embedding(source), self.embedding(target)
        return self.backbone(vectors, source_mask=token_mask(source))

    def encode(self, ids):
        memory = self.backbone.encode(self.embedding(ids), token_mask(ids))
        return {"source_ids": ids, **memory}

    def step(self, ids, state, memory, beams=1):
        mask = token_mask(memory["source_ids"])
        return self.backbone.step(self.embedding(ids), state, memory, mask, beams)

    def cross_attention(self, ids, memory):
        mask = token_mask(memory["source_ids"])
        return self.backbone.cross_attention(self.embedding(ids), memory, mask)

    def get_weights(self):
        return [*self.embedding.get_weights(), *self.backbone.get_weights()]

    def set_weights(self, weights):
        self.embedding.set_weights(weights[:1])
        self.backbone.set_weights(weights[1:])
