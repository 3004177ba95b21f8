"""Backbones with a task: what a user trains and exports."""

from keras_seq.models.text_classifier import TextClassifier

__all__ = ["TextClassifier"]
