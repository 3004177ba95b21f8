"""Backbones with a task: what a user trains and exports."""

from keras_seq.models.loading import load_model
from keras_seq.models.text_classifier import TextClassifier

__all__ = ["TextClassifier", "load_model"]
