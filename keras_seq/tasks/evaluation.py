"""Evaluates the model of a run, a file or a preset on held-out data."""

from typing import Any

from keras_seq.data.source import DataSource
from keras_seq.errors import UserError
from keras_seq.options import to_flag
from keras_seq.tasks.registry import find_task, get_task
from keras_seq.training.run import Run


def source_of(run: Run, data_dir: str | None = None) -> DataSource:
    """Returns the data source that `run` learnt from.

    Args:
        run: The run.
        data_dir: Folder of the public data sets, if they have moved.
    """
    source = get_task(run.config["task"]).data.from_mapping(run.config["data"])
    inside = run.path / source.name_or_path  # The run itself holds data that was in memory.
    name = str(inside) if inside.is_file() else source.name_or_path
    return source.replace(data_dir=data_dir, name_or_path=name)


def evaluate_run(
    model: Any,
    run: Run | None,
    source: DataSource | None = None,
    data_dir: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluates a model on held-out examples.

    Args:
        model: A model of any task.
        run: The run that it is of, if any.
        source: Data to evaluate on: the held-out part of a public data set, or all of the user's
            own. By default the held-out part of what the run learnt from.
        data_dir: Folder of the public data sets that the run learnt from, if they have moved.
        **options: Settings of the evaluation; None leaves what the run was trained with.

    Raises:
        UserError: If the data is missing, or the task has no such setting.
    """
    task = find_task(model, "This")
    overrides = {name: value for name, value in options.items() if value is not None}
    unknown = [name for name in overrides if name not in task.evaluation_settings]
    if unknown:
        raise UserError(
            f"A model of the task {task.name} is evaluated without {to_flag(unknown[0])}. Leave it "
            "out."
        )
    if source is not None:
        examples, name = source.for_model(model).load_held_out()
    else:
        corpus = source_of(run, data_dir).load()
        examples, name = corpus.held_out, corpus.name
    if run is not None:
        settings = run.load_settings(task.settings_class)
        overrides = {n: getattr(settings, n) for n in task.evaluation_settings} | overrides
    return task.evaluate(model, examples, name, **overrides)
