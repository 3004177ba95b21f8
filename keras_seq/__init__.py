"""Sequence models in Keras that ship: from a notebook to a phone, a browser and a server.

    keras_seq.load("preset:sentiment")     a model: of a preset, a run folder or a .keras file
    keras_seq.TextClassifier, TextGenerator, Translator
    keras_seq.train("generate", data="plays.txt")       a run folder, with its model and history
    keras_seq.export.export(model, "bundle")            the package `export`
    keras_seq.export.load("bundle", "tflite")

    keras_seq.layers       RNN, LSTM, MultiHeadAttention, TransformerEncoder …
    keras_seq.embeddings   what turns tokens into vectors
    keras_seq.backbones    RecurrentBackbone, TransformerBackbone …
    keras_seq.decoding     sampling and beam search over a step function
    keras_seq.text         tokenizers
    keras_seq.models       the models of all tasks
    keras_seq.tasks        the tasks, and how to add one
    keras_seq.training     runs, as `keras-seq train` makes them

Importing the package imports neither Keras nor TensorFlow; each part is imported at its first use.
`keras.saving.load_model` knows the classes once one of them was used; `keras_seq.load` also reads
files of earlier versions.
"""

from typing import TYPE_CHECKING

from keras_seq._lazy import lazy_names

if TYPE_CHECKING:
    import export
    from keras_seq.tasks.classify.model import TextClassifier
    from keras_seq.tasks.generate.model import TextGenerator
    from keras_seq.tasks.loading import load_model as load
    from keras_seq.tasks.runs import train
    from keras_seq.tasks.translate.model import Translator

__version__ = "0.1.0"

__all__ = [
    "TextClassifier",
    "TextGenerator",
    "Translator",
    "backbones",
    "data",
    "decoding",
    "embeddings",
    "export",
    "layers",
    "load",
    "models",
    "tasks",
    "text",
    "train",
    "training",
]

_HOMES = {
    "TextClassifier": "keras_seq.models",
    "TextGenerator": "keras_seq.models",
    "Translator": "keras_seq.models",
    "export": "keras_seq.bundles:package",
    "load": "keras_seq.models:load_model",
    "train": "keras_seq.tasks.runs",
}

__getattr__, __dir__ = lazy_names(
    __name__, {name: _HOMES.get(name, f"keras_seq.{name}") for name in __all__}
)
