"""Sequence models in Keras that ship: from a notebook to a phone, a browser and a server.

    keras_seq.layers       RNN, LSTM, MultiHeadAttention, TransformerEncoder …
    keras_seq.backbones    RecurrentBackbone, TransformerBackbone
    keras_seq.decoding     whole generations over a step function
    keras_seq.text         tokenizers
    keras_seq.models       TextClassifier
    keras_seq.training     runs, as `keras-seq train` makes them

Importing the package imports neither Keras nor TensorFlow; each part is imported at its first use.
"""

import importlib
from typing import Any

from keras_seq._registration import register_with_keras

__version__ = "0.1.0"

_PARTS = ("backbones", "data", "decoding", "layers", "metrics", "models", "text", "training")

register_with_keras()


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"keras_seq.{name}")
    raise AttributeError(f"module 'keras_seq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_PARTS]
