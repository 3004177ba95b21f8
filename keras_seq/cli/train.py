"""`keras-seq train TASK`."""

import argparse
from typing import Any

from keras_seq.cli.arguments import (
    RunOptions,
    add_options,
    read_devices,
    read_options,
    read_source,
    require_no_settings,
)
from keras_seq.console import import_quietly, print_status
from keras_seq.options import require_applicable
from keras_seq.tasks import Task, all_tasks
from keras_seq.training.settings import MACHINE


def add(commands: Any) -> None:
    """Adds the command, with a subcommand for each task."""
    train = commands.add_parser("train", help="train a model")
    subcommands = train.add_subparsers(required=True, metavar="TASK")
    for task in all_tasks():
        data_sets = task.data.describe_data_sets("\n  ")
        parser = subcommands.add_parser(
            task.name,
            help=task.summary,
            description=task.description,
            epilog=f"public data sets:\n  {data_sets}" if data_sets else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_options(
            parser,
            [task.data, task.settings_class, RunOptions],
            task.settings,
            defaults={"name_or_path": task.default_data},
            titles={MACHINE: "KERAS_BACKEND=jax trains with JAX."},
        )
        parser.set_defaults(command=_train, task=task)


def _train(arguments: argparse.Namespace) -> int:
    task: Task = arguments.task
    if arguments.resume:
        require_no_settings(arguments, (task.data, task.settings_class))
    # Data that can't be used is refused before anything heavy is imported.
    source = None if arguments.resume else read_source(arguments, task)
    corpus = None if source is None else source.load()
    import_quietly("keras_seq.training.session")
    from keras_seq.tasks.evaluation import source_of
    from keras_seq.training.memory import keep_freed_memory
    from keras_seq.training.run import Run
    from keras_seq.training.session import Session, load_settings

    keep_freed_memory()
    devices = read_devices(arguments)
    if arguments.resume:
        run = Run.resume(arguments.resume, task.name)
        settings, source = load_settings(run, task.settings_class), source_of(run)
        corpus = source.load()
    else:
        given = read_options(arguments, task.settings_class)
        backbone = given.get("backbone", next(iter(task.settings)))
        settings = task.settings[backbone].replace(**given)
        require_applicable(settings, given)
        run = Run.new(arguments.output, f"{task.name}-{backbone}", devices.chief)
    Session(task, corpus, settings, run, source, devices).train()
    if devices.chief:
        task.print_metrics(run.evaluation)
        next_steps = task.next_steps.format(run=run.path, name=run.path.name)
        print_status(f"Saved in {run.path}. Next: {next_steps}")
    return 0
