"""Backbones with a task: what a user trains and exports."""

from keras_seq.models.loading import load_model
from keras_seq.models.masked_language_model import MaskedLanguageModel
from keras_seq.models.text_classifier import TextClassifier
from keras_seq.models.text_generator import TextGenerator
from keras_seq.models.translator import Translator

__all__ = ["MaskedLanguageModel", "TextClassifier", "TextGenerator", "Translator", "load_model"]
