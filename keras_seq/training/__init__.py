"""A training run of any task: session, loop, checkpoints, records and devices."""

from typing import TYPE_CHECKING

from keras_seq._lazy import lazy_names

if TYPE_CHECKING:
    from keras_seq.training.devices import Devices
    from keras_seq.training.interrupts import Interrupted
    from keras_seq.training.learning_rate import LearningRate
    from keras_seq.training.losses import CrossEntropy
    from keras_seq.training.run import Run
    from keras_seq.training.session import Session, TrainingPlan
    from keras_seq.training.settings import TrainingSettings

__all__ = [
    "CrossEntropy",
    "Devices",
    "Interrupted",
    "LearningRate",
    "Run",
    "Session",
    "TrainingPlan",
    "TrainingSettings",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CrossEntropy": "keras_seq.training.losses",
        "Devices": "keras_seq.training.devices",
        "Interrupted": "keras_seq.training.interrupts",
        "LearningRate": "keras_seq.training.learning_rate",
        "Run": "keras_seq.training.run",
        "Session": "keras_seq.training.session",
        "TrainingPlan": "keras_seq.training.session",
        "TrainingSettings": "keras_seq.training.settings",
    },
)
