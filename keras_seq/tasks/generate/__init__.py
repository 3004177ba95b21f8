"""Generating text: continuing a prompt."""

from keras_seq._lazy import LazyFunction
from keras_seq.tasks.generate.options import GenerationOptions
from keras_seq.tasks.language_modeling.data import TextSource, select_held_out_prompts
from keras_seq.tasks.language_modeling.settings import BACKBONES
from keras_seq.tasks.task import Task

TASK = Task(
    name="generate",
    summary="learn to continue a text",
    description="Trains a language model that predicts each token from those before it, and keeps "
    "it in a run folder. Ctrl-C saves the run; --resume continues it.",
    model=LazyFunction("keras_seq.tasks.generate.model:TextGenerator"),
    data=TextSource,
    default_data="python",
    settings=BACKBONES,
    prepare=LazyFunction("keras_seq.tasks.generate.training:prepare"),
    evaluate=LazyFunction("keras_seq.tasks.generate.training:evaluate"),
    print_metrics=LazyFunction("keras_seq.tasks.language_modeling.report:print_metrics"),
    prediction=GenerationOptions,
    predict=LazyFunction("keras_seq.tasks.generate.report:predict"),
    comparison_texts=select_held_out_prompts,
    answer=LazyFunction("keras_seq.tasks.generate.answers:answer_with_bundle"),
    next_steps='keras-seq predict {run} --prompt "…", or python -m export {run} --output '
    "bundles/{name}",
)
