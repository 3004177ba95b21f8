"""One folder a task, one record (`task.py`) and one registry."""

from pathlib import Path
from typing import Any

from keras_seq.checking import check_arguments
from keras_seq.data.corpus import Corpus
from keras_seq.tasks.registry import all_tasks, get_task, register
from keras_seq.tasks.task import Task

__all__ = ["Task", "all_tasks", "get_task", "load_corpus", "register"]


@check_arguments
def load_corpus(task: str, name_or_path: str | Path, **options: Any) -> Corpus:
    """Loads the data of a task.

    Args:
        task: Name of the task, such as "classify".
        name_or_path: A public data set, or your own file.
        **options: Options of the task's data source, such as `text_column`.

    Raises:
        UserError: If there is no such task or data, or the data can't be used.
    """
    return get_task(task).data(str(name_or_path), **options).load()


def __dir__() -> list[str]:
    return sorted(__all__)
