"""Backbones with a task: what a user trains and exports."""

# Importing the tokenizers lets Keras know them: a model's file has one inside.
import keras_seq.text as _
from keras_seq.models.loading import load_model
from keras_seq.models.text_classifier import TextClassifier

__all__ = ["TextClassifier", "load_model"]
