"""Sequence models in Keras that ship: from a notebook to a phone, a browser and a server.

    keras_seq.layers       RNN, LSTM, MultiHeadAttention, TransformerEncoder …
    keras_seq.embeddings   what turns tokens into vectors
    keras_seq.backbones    RecurrentBackbone, TransformerBackbone …
    keras_seq.decoding     sampling and beam search over a step function
    keras_seq.text         tokenizers
    keras_seq.models       TextClassifier, TextGenerator, Translator, load_model
    keras_seq.tasks        the tasks, and how to add one
    keras_seq.training     runs, as `keras-seq train` makes them

Importing the package imports neither Keras nor TensorFlow; each part is imported at its first use.
`keras.saving.load_model` knows the classes once `keras_seq.models` was used; `load_model` of that
module also reads runs' files of earlier versions.
"""

from keras_seq._lazy import lazy_names

__version__ = "0.1.0"

_PARTS = (
    "backbones",
    "data",
    "decoding",
    "embeddings",
    "layers",
    "models",
    "tasks",
    "text",
    "training",
)

__getattr__, __dir__ = lazy_names(__name__, {name: f"keras_seq.{name}" for name in _PARTS})
