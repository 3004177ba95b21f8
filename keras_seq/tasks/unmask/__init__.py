"""Filling gaps in texts, which classifiers start from."""

from keras_seq._lazy import LazyFunction
from keras_seq.tasks.language_modeling.data import TextSource
from keras_seq.tasks.language_modeling.settings import BACKBONES
from keras_seq.tasks.task import Task

TASK = Task(
    name="unmask",
    summary="train a masked language model, which pre-trains classifiers",
    description="Trains a language model that predicts hidden tokens from those around them, and "
    "keeps it in a run folder. Ctrl-C saves the run; --resume continues it. Then: keras-seq train "
    "classify --init-from RUN.",
    model=LazyFunction("keras_seq.tasks.unmask.model:MaskedLanguageModel"),
    data=TextSource,
    default_data="python",
    settings=BACKBONES,
    prepare=LazyFunction("keras_seq.tasks.unmask.training:prepare"),
    evaluate=LazyFunction("keras_seq.tasks.unmask.training:evaluate"),
    print_metrics=LazyFunction("keras_seq.tasks.language_modeling.report:print_metrics"),
    next_steps="keras-seq train classify --init-from {run}",
)
