"""`keras-seq train TASK`."""

import argparse
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keras_seq.arguments import add_options, read_options
from keras_seq.console import import_quietly, print_status
from keras_seq.errors import UserError
from keras_seq.options import Options, flag_of, option
from keras_seq.tasks import Task, all_tasks
from keras_seq.training.settings import MACHINE, RUN


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """The run folder, and the devices that train."""

    output: str | None = option(
        None, "run folder to make", group=RUN, metavar="RUN", default_text="runs/NAME-TIME"
    )
    resume: str | None = option(
        None,
        "run to continue, with its own data and settings; with more --epochs a finished one, too",
        group=RUN,
        metavar="RUN",
    )
    devices: str | None = option(
        None, "number of GPUs, or all", group=MACHINE, metavar="N", default_text="1"
    )
    coordinator: str | None = option(
        None,
        "address where process 0 of several listens",
        group=MACHINE,
        metavar="HOST:PORT",
    )
    processes: int | None = option(
        None, "number of training processes, with JAX", group=MACHINE, default_text="1"
    )
    process_id: int | None = option(
        None, "rank of this process", group=MACHINE, metavar="I", default_text="0"
    )


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
        _require_no_settings(arguments, (task.data, task.settings_class))
    # Data that can't be used is refused before anything heavy is imported.
    source = None if arguments.resume else _read_source(arguments, task)
    corpus = None if source is None else source.load()
    import_quietly("keras_seq.training.session")
    from keras_seq.tasks.evaluation import source_of
    from keras_seq.tasks.runs import choose_settings
    from keras_seq.training.memory import keep_freed_memory
    from keras_seq.training.run import Run
    from keras_seq.training.session import Session

    keep_freed_memory()
    devices = _read_devices(arguments)
    if arguments.resume:
        run = Run.resume(arguments.resume, task.name)
        settings, source = run.extend(task.settings_class, arguments.epochs), source_of(run)
        corpus = source.load()
    else:
        settings = choose_settings(task, read_options(arguments, task.settings_class))
        run = Run.new(arguments.output, f"{task.name}-{settings.backbone}", devices.chief)
    Session(task, corpus, settings, run, source, devices).train()
    if devices.chief:
        task.print_metrics(run.evaluation)
        next_steps = task.next_steps.format(run=run.path, name=run.path.name)
        print_status(f"Saved in {run.path}. Next: {next_steps}")
    return 0


def _require_no_settings(arguments: argparse.Namespace, kinds: Iterable[type]) -> None:
    """Raises UserError if an option was given that a resumed run has itself."""
    fields = [field for kind in kinds for field in dataclasses.fields(kind)]
    flags = {field.name: flag_of(field) for field in fields} | {"output": "--output"}
    del flags["epochs"]  # of which there may be more
    for name, flag in flags.items():
        value = getattr(arguments, name, None)
        if value is not None:
            raise UserError(
                f"A resumed run keeps its own settings. Received: {flag} {value}. Leave it out, or "
                "start a new run without --resume."
            )


def _read_source(arguments: argparse.Namespace, task: Task) -> Any:
    """Returns the task's data source that the arguments name, with absolute paths."""
    options = read_options(arguments, task.data)
    return task.data(**({"name_or_path": task.default_data} | options)).resolve()


def _read_devices(arguments: argparse.Namespace) -> Any:
    """Returns the devices to train on."""
    from keras_seq.training import Devices

    count: Any = arguments.devices
    if count is not None and count != "all" and not count.isdecimal():
        raise UserError(f"--devices is a number from 1, or all. Received: {count}")
    # Each of several processes uses all devices that it has.
    default = None if arguments.coordinator else 1
    return Devices(
        default if count is None else None if count == "all" else int(count),
        arguments.coordinator,
        1 if arguments.processes is None else arguments.processes,
        arguments.process_id or 0,
    )
