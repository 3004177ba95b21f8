"""Recurrent and attention layers with explicit state."""

from keras_seq.layers.bidirectional import Bidirectional
from keras_seq.layers.dropout import Dropout
from keras_seq.layers.layer_normalization import LayerNormalization
from keras_seq.layers.lstm import LSTM
from keras_seq.layers.multi_head_attention import MultiHeadAttention
from keras_seq.layers.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from keras_seq.layers.rnn import RNN
from keras_seq.layers.transformer_decoder import TransformerDecoder
from keras_seq.layers.transformer_encoder import TransformerEncoder

__all__ = [
    "LSTM",
    "RNN",
    "Bidirectional",
    "Dropout",
    "LayerNormalization",
    "LearnedPositions",
    "MultiHeadAttention",
    "RotaryPositions",
    "SinusoidalPositions",
    "TransformerDecoder",
    "TransformerEncoder",
]


def __dir__() -> list[str]:
    return sorted(__all__)
