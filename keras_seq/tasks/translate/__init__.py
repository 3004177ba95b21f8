"""Translating texts."""

from keras_seq._lazy import LazyFunction
from keras_seq.tasks.task import Task
from keras_seq.tasks.translate.data import PairSource, select_held_out_sources
from keras_seq.tasks.translate.options import TranslationOptions
from keras_seq.tasks.translate.settings import BACKBONES

TASK = Task(
    name="translate",
    summary="learn to translate from pairs of texts",
    description="Trains an encoder-decoder that reads one text and writes another, and keeps it in "
    "a run folder. Ctrl-C saves the run; --resume continues it.",
    model=LazyFunction("keras_seq.tasks.translate.model:Translator"),
    data=PairSource,
    default_data="dates",
    settings=BACKBONES,
    prepare=LazyFunction("keras_seq.tasks.translate.training:prepare"),
    evaluate=LazyFunction("keras_seq.tasks.translate.training:evaluate"),
    evaluation_settings=("num_beams",),
    print_metrics=LazyFunction("keras_seq.tasks.translate.report:print_metrics"),
    prediction=TranslationOptions,
    predict=LazyFunction("keras_seq.tasks.translate.report:predict"),
    comparison_texts=select_held_out_sources,
    answer=LazyFunction("keras_seq.tasks.translate.answers:answer_with_bundle"),
    next_steps='keras-seq predict {run} "…", or python -m export {run} --output bundles/{name}',
)
