"""How well a model does its task."""

from keras_seq.metrics.classification import classification_metrics
from keras_seq.metrics.translation import translation_metrics

__all__ = ["classification_metrics", "translation_metrics"]
