"""What a task is: one record. The folder of a task holds all that is particular to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_seq._lazy import LazyFunction
from keras_seq.data.source import DataSource
from keras_seq.tasks.prediction import PredictionOptions
from keras_seq.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Task:
    """A kind of model with its data, training, results and answers.

    The command line, training, the exporter's command line, presets and the demo ask the record;
    none of them names a task. Functions that need Keras are `LazyFunction`s, so that the record
    itself imports nothing heavy.

    Attributes:
        name: Name of the task: "classify". A model of the task has it as `model.task`.
        summary: What a model of the task learns, for the help text.
        description: What `keras-seq train NAME` does, for its help text.
        model: The model's class, as a `LazyFunction`.
        data: The class of its data sources.
        default_data: The public data set that `keras-seq train NAME` learns from by default.
        settings: Default settings of each backbone; the first is the default backbone.
        prepare: Takes a `keras_seq.training.session.Session`; returns its `TrainingPlan`.
        evaluate: Takes a model, held-out examples, the name of the data, and the settings named in
            `evaluation_settings` as keywords; returns metrics.
        evaluation_settings: Names of the settings that `evaluate` takes.
        print_metrics: Takes metrics and prints them.
        prediction: The class of the options of `predict`.
        predict: Takes a model, texts, `prediction` options and whether to print JSON; prints the
            answers. None where the models of a task answer nothing.
        comparison_texts: Takes a corpus and a number; returns held-out texts on which exported
            files are compared with Keras, and what they are.
        answer: Takes an open bundle and texts; returns the answer to each in a few words. It needs
            neither Keras nor TensorFlow.
        demo_texts: Texts that `keras-seq demo` shows answers to; it trains the first task that has
            some.
        next_steps: What a user does with a trained run; `{run}` is its folder, `{name}` its name.
    """

    name: str
    summary: str
    description: str
    model: LazyFunction
    data: type[DataSource]
    default_data: str = ""
    settings: Mapping[str, TrainingSettings]
    prepare: Any
    evaluate: Any
    evaluation_settings: Sequence[str] = ()
    print_metrics: Any
    prediction: type[PredictionOptions] | None = None
    predict: Any = None
    comparison_texts: Any = None
    answer: Any = None
    demo_texts: Sequence[str] = ()
    next_steps: str = "python -m export {run} --output bundles/{name}"

    @property
    def settings_class(self) -> type[TrainingSettings]:
        """The class of the settings."""
        return type(next(iter(self.settings.values())))
