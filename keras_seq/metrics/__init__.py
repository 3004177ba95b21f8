"""How well a model does its task."""

from keras_seq.metrics.classification import classification_metrics

__all__ = ["classification_metrics"]
