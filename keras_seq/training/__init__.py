"""A training run, from data to a folder with a model in it."""

from keras_seq.training.classify import (
    BACKBONES,
    ClassifierSettings,
    build_classifier,
    evaluate_classifier,
    train_classifier,
)
from keras_seq.training.run import Run

__all__ = [
    "BACKBONES",
    "ClassifierSettings",
    "Run",
    "build_classifier",
    "evaluate_classifier",
    "train_classifier",
]
