"""Backbones with a task: what a user trains and exports."""

from keras_seq.loading import load_model
from keras_seq.tasks.classify.model import TextClassifier
from keras_seq.tasks.generate.model import TextGenerator
from keras_seq.tasks.translate.model import Translator
from keras_seq.tasks.unmask.model import MaskedLanguageModel

__all__ = ["MaskedLanguageModel", "TextClassifier", "TextGenerator", "Translator", "load_model"]
