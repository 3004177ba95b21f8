"""Layers as sequence models with a step function and explicit state."""

from keras_seq.backbones.backbone import Backbone
from keras_seq.backbones.encoder_decoder import EncoderDecoder
from keras_seq.backbones.recurrent import RecurrentBackbone
from keras_seq.backbones.recurrent_encoder_decoder import RecurrentEncoderDecoder
from keras_seq.backbones.transformer import TransformerBackbone
from keras_seq.backbones.transformer_encoder_decoder import TransformerEncoderDecoder

__all__ = [
    "Backbone",
    "EncoderDecoder",
    "RecurrentBackbone",
    "RecurrentEncoderDecoder",
    "TransformerBackbone",
    "TransformerEncoderDecoder",
]


def __dir__() -> list[str]:
    return sorted(__all__)
