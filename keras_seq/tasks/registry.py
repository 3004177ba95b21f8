"""All tasks by name. A package registers its own in the entry-point group `keras_seq.tasks`."""

import importlib.metadata
from typing import Any

from keras_seq.errors import UserError
from keras_seq.tasks.classify import TASK as CLASSIFY
from keras_seq.tasks.generate import TASK as GENERATE
from keras_seq.tasks.task import Task
from keras_seq.tasks.translate import TASK as TRANSLATE
from keras_seq.tasks.unmask import TASK as UNMASK

ENTRY_POINTS = "keras_seq.tasks"

_tasks = {task.name: task for task in (CLASSIFY, GENERATE, UNMASK, TRANSLATE)}
_loaded_entry_points = False


def register(task: Task) -> None:
    """Adds a task, or replaces the one of its name."""
    _tasks[task.name] = task


def all_tasks() -> list[Task]:
    """Returns every task: those of this package, then those of others."""
    global _loaded_entry_points
    if not _loaded_entry_points:
        _loaded_entry_points = True
        for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
            register(entry_point.load())
    return list(_tasks.values())


def get_task(name: str) -> Task:
    """Returns the task of a name.

    Raises:
        UserError: If there is none.
    """
    tasks = {task.name: task for task in all_tasks()}
    if name not in tasks:
        raise UserError(f"The tasks are {', '.join(tasks)}. Received: {name!r}")
    return tasks[name]


def find_task(model: Any, name: object) -> Task:
    """Returns the task of a model.

    Args:
        model: A model that was loaded.
        name: What it was loaded from, for the error message.

    Raises:
        UserError: If it is of no task, as any other Keras model.
    """
    task = getattr(model, "task", None)
    if isinstance(task, str):
        return get_task(task)
    raise UserError(
        f"{name} is a Keras model ({type(model).__name__}) of no task: it is not known what it "
        f"reads. Export it, and call the bundle: python -m export {name} --output BUNDLE. Then in "
        "Python: bundle = export.load('BUNDLE'), and bundle.predict(…) with arrays"
    )


def import_models() -> None:
    """Imports the models of all tasks, so that Keras knows their classes."""
    for task in all_tasks():
        task.model.load()
