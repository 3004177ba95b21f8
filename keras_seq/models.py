"""The models of all tasks, and how they are loaded."""

from typing import TYPE_CHECKING

from keras_seq._lazy import lazy_names
from keras_seq.tasks.registry import all_tasks

if TYPE_CHECKING:
    from keras_seq.tasks.loading import find_model, load_model

__all__ = ["find_model", "load_model"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "find_model": "keras_seq.tasks.loading",
        "load_model": "keras_seq.tasks.loading",
        **{name: module for module, name in (task.model.path.split(":") for task in all_tasks())},
    },
)
