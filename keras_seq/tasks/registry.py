"""The tasks by name, for those who need not know which one it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from keras_seq import data
from keras_seq.errors import UserError
from keras_seq.tasks.classify import training as classify
from keras_seq.tasks.language_modeling import training as language
from keras_seq.tasks.translate import training as translate
from keras_seq.training.run import Run
from keras_seq.training.settings import TrainingSettings

Corpus = data.Corpus | data.TextCorpus | data.PairCorpus


@dataclass(frozen=True)
class Task:
    """What is done of a task.

    Attributes:
        defaults: The settings of each backbone.
        load: Takes what a run's config says of its data, and loads it.
        train: Takes corpus, settings, run, source and devices; see `train_classifier`.
        evaluate: Takes a model, what was held out, and its name, and of a translator how many
            beams; returns the results.
    """

    defaults: Mapping[str, TrainingSettings]
    load: Callable[..., Corpus]
    train: Callable[..., Any]
    evaluate: Callable[..., dict[str, Any]]


def _of_language(name: str) -> Task:
    return Task(
        language.BACKBONES,
        data.load_texts,
        partial(language.train_language_model, name),
        language.OBJECTIVES[name].evaluate,
    )


TASKS = {
    "classify": Task(
        classify.BACKBONES, data.load, classify.train_classifier, classify.evaluate_classifier
    ),
    **{name: _of_language(name) for name in language.OBJECTIVES},
    "translate": Task(
        translate.BACKBONES,
        data.load_pairs,
        translate.train_translator,
        translate.evaluate_translator,
    ),
}


def evaluated(
    model: Any, run: Run | None, examples: Any, name: str, beam: int | None = None
) -> dict[str, Any]:
    """The results of `model` on what was held out.

    Args:
        model: Of any task.
        run: That it is of, if of any.
        examples: As the task's `evaluate` takes them.
        name: Of the data.
        beam: Of a translator's search; that of the run by default.

    Raises:
        UserError: If a beam is given for a model that does not translate.
    """
    options = {}
    if model.task == "translate":
        settings = run.config["settings"] if run else {}
        asked = settings.get("beam", translate.TranslationSettings.beam)
        options["beam"] = asked if beam is None else beam
    elif beam is not None:
        raise UserError(f"--beam is of a search for translations. Received a {model.task} model.")
    return TASKS[model.task].evaluate(model, examples, name, **options)


def held_out(run: Run, data_dir: str | Path | None = None) -> Corpus:
    """What `run` learnt from, with the examples or texts that it did not.

    Raises:
        UserError: If the data is no longer where it was.
    """
    source = dict(run.config["data"])
    if data_dir is not None:
        source["data_dir"] = data_dir
    return TASKS[run.config["task"]].load(**source)
