"""`keras-seq evaluate`."""

import argparse
import dataclasses
import json
from typing import Any

from keras_seq.arguments import add_options, read_options
from keras_seq.console import import_quietly
from keras_seq.errors import UserError
from keras_seq.files import refuse_stream
from keras_seq.tasks import all_tasks
from keras_seq.tasks.registry import find_task


def add(commands: Any) -> None:
    """Adds the command."""
    evaluate = commands.add_parser(
        "evaluate",
        help="print the results of a model",
        description="Prints the results of a model on the run's held-out examples, or on those of "
        "another data set.",
    )
    evaluate.add_argument(
        "model", metavar="RUN", help="a run folder, a .keras file, or preset:NAME"
    )
    add_options(evaluate, [task.data for task in all_tasks()])
    add_options(evaluate, [_evaluation_options(task) for task in all_tasks()])
    evaluate.add_argument("--json", action="store_true", help="print the metrics as JSON")
    evaluate.set_defaults(command=_evaluate)


def _evaluation_options(task: Any) -> type:
    """Returns a dataclass of the settings that a task's evaluation takes, none of which is set."""
    fields = [
        (
            field.name,
            field.type | None,
            dataclasses.field(
                default=None,
                metadata={**field.metadata, "group": "", "default_text": "as the run was trained"},
            ),
        )
        for field in dataclasses.fields(task.settings_class)
        if field.name in task.evaluation_settings
    ]
    return dataclasses.make_dataclass("EvaluationOptions", fields)


def _evaluate(arguments: argparse.Namespace) -> int:
    refuse_stream(arguments.model)
    import_quietly("keras_seq.tasks.loading.load")
    from keras_seq.tasks.evaluation import evaluate_run
    from keras_seq.tasks.loading import find_model

    model, run = find_model(arguments.model)
    if not arguments.name_or_path and run is None:
        raise UserError(f"{arguments.model} does not say on what to evaluate it: name --data.")
    task = find_task(model, arguments.model)
    source = None
    if arguments.name_or_path:
        source = task.data(**read_options(arguments, task.data))
    options = {
        name: getattr(arguments, name, None)
        for other in all_tasks()
        for name in other.evaluation_settings
    }
    metrics = evaluate_run(model, run, source, arguments.data_dir, **options)
    if arguments.json:
        print(json.dumps(metrics, ensure_ascii=False, indent=2))
    else:
        task.print_metrics(metrics)
    return 0
