"""Runs of any task from Python: trained, resumed and looked at in one call each."""

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

from keras_seq.checking import check_arguments
from keras_seq.data.memory import write_examples
from keras_seq.data.source import DataSource
from keras_seq.errors import UserError
from keras_seq.options import option_names, require_applicable
from keras_seq.tasks.evaluation import evaluate_run, source_of
from keras_seq.tasks.loading import load_model
from keras_seq.tasks.registry import get_task
from keras_seq.tasks.task import Task
from keras_seq.training.devices import Devices
from keras_seq.training.journal import draw_history
from keras_seq.training.run import Run
from keras_seq.training.session import Session
from keras_seq.training.settings import TrainingSettings

DEFAULT_DATA = "default"  # the task's public data set
DATA_FILE = "data.jsonl"  # in the run folder: data that was in memory


class TrainedRun(Run):
    """A run folder with a trained model in it, as `train` returns it."""

    @cached_property
    def model(self) -> Any:
        """The best epoch's model."""
        return load_model(self.model_path)

    def plot(self) -> Any:
        """Draws the loss and the metrics over the steps; returns a Matplotlib figure."""
        return draw_history(self.read_lines("steps.jsonl"), self.read_lines("metrics.jsonl"))

    def evaluate(self, **options: Any) -> dict[str, Any]:
        """Evaluates the model on the run's held-out examples; see `evaluate_run`."""
        return evaluate_run(self.model, self, **options)

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{name} {value:.4g}"
            for name, value in self.evaluation.items()
            if isinstance(value, float)
        )
        return f"TrainedRun({str(self.path)!r}: {self.config['task']}, {figures})"


@check_arguments
def train(
    task: str,
    data: Any = DEFAULT_DATA,
    *,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    devices: Devices | int | None = None,
    verbose: bool | int = True,
    **options: Any,
) -> TrainedRun:
    """Trains a model of a task into a run folder, as `keras-seq train TASK` does.

    Args:
        task: Name of the task, such as "classify".
        data: Name of a public data set, a path, or data in memory (`write_examples` says in what
            forms), which the run folder then holds. "default" is the task's public data set.
        output: Run folder to make; by default `runs/TASK-BACKBONE-TIME`.
        resume: Run folder to continue instead, with its own data and settings. A larger `epochs`
            lets a finished run go on.
        devices: Where to train: a number of devices, or `Devices`; one by default.
        verbose: Show the progress.
        **options: Settings and options of the data by name, such as `backbone="lstm"`, `epochs=3`
            and `text_column="review"`: those that `keras-seq train TASK --help` lists.

    Returns:
        The run, with its `model`, `history`, `evaluation` and `plot()`.

    Raises:
        UserError: If the data can't be learnt from, or an option is unknown or out of its range.
    """
    record = get_task(task)
    if not isinstance(devices, Devices):
        devices = Devices() if devices is None else Devices(devices)
    verbose = bool(verbose)
    if resume is not None:
        if output is not None:
            options["output"] = output
        return _resume(record, resume, data, options, devices, verbose)
    of_data, of_settings = _split_options(record, options)
    settings = choose_settings(record, of_settings)
    run = TrainedRun.new(output, f"{record.name}-{settings.backbone}", devices.chief)
    if data is None:
        raise UserError(
            f"data is None. Give data, or leave it out to learn from {record.default_data}."
        )
    if isinstance(data, (str, Path)):
        name = record.default_data if data == DEFAULT_DATA else str(data)
        source = record.data(name, **of_data).resolve()
        Session(record, source.load(), settings, run, source, devices, verbose).train()
        return run
    source = record.data(DATA_FILE, **of_data)
    run.path.mkdir(parents=True, exist_ok=True)
    try:
        write_examples(data, source.columns, run.path / DATA_FILE)
        corpus = source.replace(name_or_path=str(run.path / DATA_FILE)).load()
        Session(record, corpus, settings, run, source, devices, verbose).train()
    finally:
        if not run.started:
            shutil.rmtree(run.path)
    return run


def _resume(
    task: Task,
    path: str | Path,
    data: Any,
    options: dict[str, Any],
    devices: Devices,
    verbose: bool,
) -> TrainedRun:
    others = [name for name in options if name != "epochs"] + ["data"] * (data is not DEFAULT_DATA)
    if others:
        raise UserError(
            f"A resumed run keeps its own data and settings; only epochs may grow. Received: "
            f"{', '.join(others)}"
        )
    run = TrainedRun.resume(path, task.name)
    settings = run.extend(task.settings_class, options.get("epochs"))
    source = source_of(run)
    Session(task, source.load(), settings, run, source, devices, verbose).train()
    return run


def choose_settings(task: Task, options: dict[str, Any]) -> TrainingSettings:
    """Returns the settings of a task for options by name; the backbone decides the defaults.

    Raises:
        UserError: If an option is out of its range, or the backbone has no use for it.
    """
    backbone = options.get("backbone", next(iter(task.settings)))
    if backbone not in task.settings:
        raise UserError(f"backbone is one of {', '.join(task.settings)}. Received: {backbone!r}")
    settings = task.settings[backbone].replace(**options)
    require_applicable(settings, options)
    return settings


def _split_options(task: Task, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the options of the data, and those of the settings, by the names of their fields."""
    kinds: tuple[type[DataSource], type[TrainingSettings]] = (task.data, task.settings_class)
    names = [option_names(kind) for kind in kinds]
    unknown = [name for name in options if not any(name in known for known in names)]
    if unknown:
        raise UserError(
            f"{unknown[0]} is no option of the task {task.name}. Options: "
            f"{', '.join(sorted({*names[0].values(), *names[1].values()} - {'name_or_path'}))}"
        )
    of_data, of_settings = (
        {known[name]: value for name, value in options.items() if name in known} for known in names
    )
    return of_data, of_settings
