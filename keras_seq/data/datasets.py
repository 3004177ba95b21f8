"""Texts from a `tf.data.Dataset`."""

from typing import Any

import numpy as np

from keras_seq.errors import UserError


def is_dataset(value: Any) -> bool:
    """Returns whether a value is a `tf.data.Dataset`; TensorFlow need not be installed."""
    return type(value).__module__.startswith("tensorflow") and hasattr(value, "element_spec")


def holds_texts(dataset: Any) -> bool:
    """Returns whether the first part of a dataset's elements is strings."""
    spec = dataset.element_spec
    return getattr(spec[0] if isinstance(spec, tuple) else spec, "dtype", None) == "string"


def read_dataset(dataset: Any) -> tuple[Any, Any]:
    """Reads all texts of a dataset, in batches or one by one, and what belongs to them.

    Returns:
        `(x, y)`: a list of strings, and a list of strings or an array; `y` is None where the
        elements have one part.

    Raises:
        UserError: If the dataset has no end.
    """
    if int(dataset.cardinality()) == -1:
        raise UserError(
            "The dataset repeats without end, and all its texts are read: leave out repeat()."
        )
    columns: list[list[Any]] = [[], []]
    for element in dataset.as_numpy_iterator():
        parts = element if isinstance(element, tuple) else (element,)
        for column, part in zip(columns, parts, strict=False):
            column.extend(np.ravel(np.asarray(part)).tolist())
    x, y = (
        [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in column]
        for column in columns
    )
    return x, y or None
