"""Examples in memory, written as a file that a run can read again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_seq.data.datasets import is_dataset, read_dataset
from keras_seq.errors import UserError, describe
from keras_seq.text.utf8 import is_text, list_texts


def write_examples(data: Any, columns: Sequence[str], path: Path) -> None:
    """Writes examples as JSON lines with the given columns.

    Args:
        data: A table (a pandas DataFrame, or a dictionary of columns) that has these columns; a
            tuple of columns in their order, each a list, an array or a pandas Series; a list of
            texts where there is one column, of tuples where there are several; or a
            `tf.data.Dataset`.
        columns: Names of the columns.
        path: File to write.

    Raises:
        UserError: If the data has no such columns, or they differ in length.
    """
    values = [[_to_text(value) for value in column] for column in _columns(data, columns)]
    counts = {name: len(column) for name, column in zip(columns, values, strict=True)}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        raise UserError(f"The columns differ in length: {told}")
    with path.open("w", encoding="utf-8") as file:
        for row in zip(*values, strict=True):
            file.write(json.dumps(dict(zip(columns, row, strict=True))) + "\n")


def _columns(data: Any, names: Sequence[str]) -> list[Any]:
    if is_dataset(data):
        return [*read_dataset(data)][: len(names)]
    if isinstance(data, Mapping) or hasattr(data, "columns"):
        missing = [name for name in names if name not in data]
        if missing:
            raise UserError(
                f"The table has no column {missing[0]!r}. It has: {', '.join(map(str, data))}"
            )
        return [data[name] for name in names]
    if len(names) == 1 and is_text(data):
        return [list_texts(data)]
    if isinstance(data, tuple) and len(data) == len(names) and not is_text(data):
        return [*data]
    rows = data if isinstance(data, list) else []
    if len(names) > 1 and rows and all(isinstance(r, tuple) and len(r) == len(names) for r in rows):
        return [*zip(*rows, strict=True)]
    if len(names) == 1:
        raise UserError(f"Data in memory is a list of texts. Received: {describe(data)}")
    raise UserError(
        f"Data in memory is {' and '.join(names)}: a table with these columns, or a tuple of "
        f"columns. Received: {describe(data)}"
    )


def _to_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
