"""A training run, from data to a folder with a model in it."""

from keras_seq.tasks.classify.training import (
    BACKBONES,
    ClassifierSettings,
    build_classifier,
    evaluate_classifier,
    train_classifier,
)
from keras_seq.tasks.language_modeling.training import (
    LanguageSettings,
    build_language_model,
    evaluate_generator,
    evaluate_unmasker,
    train_language_model,
)
from keras_seq.tasks.translate.training import (
    TranslationSettings,
    build_translator,
    evaluate_translator,
    train_translator,
)
from keras_seq.training.devices import Devices
from keras_seq.training.interrupts import Interrupted
from keras_seq.training.learning_rate import LearningRate
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.run import Run
from keras_seq.training.settings import TrainingSettings
from keras_seq.training.trainer import train

__all__ = [
    "BACKBONES",
    "ClassifierSettings",
    "CrossEntropy",
    "Devices",
    "Interrupted",
    "LanguageSettings",
    "LearningRate",
    "Run",
    "TrainingSettings",
    "TranslationSettings",
    "build_classifier",
    "build_language_model",
    "build_translator",
    "evaluate_classifier",
    "evaluate_generator",
    "evaluate_translator",
    "evaluate_unmasker",
    "train",
    "train_classifier",
    "train_language_model",
    "train_translator",
]
