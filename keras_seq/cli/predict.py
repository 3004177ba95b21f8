"""`keras-seq predict`."""

import argparse
import io
import sys
from typing import Any

from keras_seq.arguments import add_options, read_options
from keras_seq.console import import_quietly
from keras_seq.errors import UserError
from keras_seq.files import LONGEST_ROW, refuse_stream
from keras_seq.options import to_flag
from keras_seq.tasks import all_tasks
from keras_seq.tasks.registry import find_task
from keras_seq.text.utf8 import to_bytes

LARGEST_INPUT = 2**29  # bytes of standard input


def add(commands: Any) -> None:
    """Adds the command."""
    predict = commands.add_parser(
        "predict",
        help="use a model",
        description="Prints what a model answers to each text: the label of a classifier, the "
        "continuation of a generator as it is written, the translation of a translator.",
    )
    predict.add_argument("model", metavar="RUN", help="a run folder, a .keras file, or preset:NAME")
    predict.add_argument(
        "texts",
        metavar="TEXT",
        nargs="*",
        help="texts; without any, each line of standard input is one",
    )
    predict.add_argument("--json", action="store_true", help="print a JSON object for each text")
    kinds, users = [], {}
    for task in all_tasks():
        if task.prediction is not None:
            kinds.append(task.prediction)
            for field in task.prediction.__dataclass_fields__.values():
                users.setdefault(field.metadata["group"], {})[task.name] = None
    titles = {group: f"For the tasks: {', '.join(names)}." for group, names in users.items()}
    add_options(predict, kinds, titles=titles)
    predict.set_defaults(command=_predict)


def _read_input() -> list[str]:
    """Returns the lines of standard input.

    Raises:
        UserError: If one of them, or all together, are too long.
    """
    content = sys.stdin.buffer.read(LARGEST_INPUT + 1)
    if len(content) > LARGEST_INPUT:
        raise UserError(
            f"Standard input has more than {LARGEST_INPUT:,} bytes. Give a part of it at a time."
        )
    lines = io.StringIO(content.decode("utf-8-sig", "surrogateescape"))
    texts = [line.rstrip("\r\n") for line in lines]
    for number, text in enumerate(texts, 1):
        if len(text) > LONGEST_ROW:
            raise UserError(
                f"Standard input, line {number}: it has more than {LONGEST_ROW:,} characters. Each "
                "line is a text: cut it into several."
            )
    return texts


def _predict(arguments: argparse.Namespace) -> int:
    refuse_stream(arguments.model)
    kinds = [task.prediction for task in all_tasks() if task.prediction is not None]
    options = {
        name: value for kind in kinds for name, value in read_options(arguments, kind).items()
    }
    extra = (kind.from_mapping(options).extra_texts() for kind in kinds)
    texts = [*next((texts for texts in extra if texts), []), *arguments.texts]
    if not texts:
        texts = _read_input()
    # A byte that is not UTF-8 is read as "?", and shown so.
    texts = [to_bytes(text).decode("utf-8") for text in texts]
    if not texts:
        raise UserError('There is no text. Give some: keras-seq predict RUN "A wonderful film."')
    import_quietly("keras_seq.tasks.loading.load")
    from keras_seq.tasks.loading import find_model

    model, _ = find_model(arguments.model)
    task = find_task(model, arguments.model)
    if task.prediction is None:
        next_steps = task.next_steps.format(run=arguments.model, name=arguments.model)
        raise UserError(
            f"{arguments.model} is a model of the task {task.name}, which answers nothing by "
            f"itself. Next: {next_steps}"
        )
    for name in options:
        if name not in task.prediction.__dataclass_fields__:
            raise UserError(
                f"{arguments.model} is a model of the task {task.name}, which has no "
                f"{to_flag(name)}. Leave it out."
            )
    task.predict(model, texts, task.prediction(**options), arguments.json)
    return 0
