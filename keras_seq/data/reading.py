"""Reads texts from the user's own files: CSV, TSV, JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_seq.data.corpus import LabelledTexts
from keras_seq.errors import UserError

FORMATS = {".csv": ",", ".tsv": "\t", ".jsonl": None}
LONGEST_FIELD = 2**31 - 1
_OPTIONS = ("--text-column", "--label-column")


def read_labelled_texts(
    path: str | Path, text_column: str = "text", label_column: str = "label"
) -> LabelledTexts:
    """Reads a file with a text and a label in every row.

    Args:
        path: `.csv` or `.tsv` with a header line, or `.jsonl` with an object a line; UTF-8.
        text_column: Name of the column with the text.
        label_column: Name of the column with the label: any text or number.

    Raises:
        UserError: If the file is missing, empty, not UTF-8, lacks a column or a label, or has one
            class only.
    """
    path = Path(path)
    texts, labels = [], []
    for line, (text, label) in _columns(path, (text_column, label_column), _OPTIONS):
        label = label.strip()
        if not label:
            raise UserError(
                f"{path}, line {line}: the label is empty. Give it one or drop the row."
            )
        texts.append(text)
        labels.append(label)
    if not texts:
        raise UserError(f"{path} has no examples: a header and at least two classes are needed.")
    examples = LabelledTexts(texts, labels)
    if len(examples.classes()) == 1:
        raise UserError(
            f"{path}: all {len(examples)} examples have the label {labels[0]!r}. A classifier "
            "needs two classes or more."
        )
    return examples


def read_column(path: str | Path, text_column: str = "text") -> list[str]:
    """Reads the texts in a column of such a file.

    Raises:
        UserError: If the file is missing, empty, not UTF-8 or lacks the column.
    """
    return read_columns(path, (text_column,), _OPTIONS[:1])[0]


def read_columns(
    path: str | Path, columns: Sequence[str], options: Sequence[str]
) -> list[list[str]]:
    """Reads the texts in several columns of such a file: one list per column.

    Args:
        path: As for `read_labelled_texts`.
        columns: Names of the columns.
        options: Command-line options that name the columns, for the error message.

    Raises:
        UserError: If the file is missing, empty, not UTF-8 or lacks a column.
    """
    rows = [row for _, row in _columns(Path(path), columns, options)]
    return [[row[i] for row in rows] for i in range(len(columns))]


def _columns(
    path: Path, columns: Sequence[str], options: Sequence[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yields the line of each row and its texts in `columns`, which `options` name."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(
            f"{path}: the name of a data file ends in {', '.join(FORMATS)}. "
            f"Received: {path.suffix or 'no ending'}"
        )
    for line, row in _rows(path, read_utf8(path), columns):
        if any(row.get(None) or ()):
            raise UserError(
                f"{path}, line {line}: the row has more cells than there are columns, such as "
                f"{row[None][0]!r}. Put a cell with a separator in it between quotation marks."
            )
        for column in columns:
            if column in row and row[column] is None:
                raise UserError(
                    f"{path}, line {line}: there is nothing in the column {column!r}. Complete the "
                    "row or drop it."
                )
            if column not in row:
                raise UserError(
                    f"{path}, line {line}: there is no column {column!r}. It has: "
                    f"{', '.join(repr(name) for name in row if name is not None)}. Name yours with "
                    f"{' and '.join(options)}."
                )
            if isinstance(row[column], list | dict):
                raise UserError(
                    f"{path}, line {line}: the column {column!r} holds "
                    f"{json.dumps(row[column])[:60]}, which is not a text. Give each row one text "
                    "or number there."
                )
        yield line, [str(row[column]) for column in columns]


def read_utf8(path: Path) -> str:
    """Reads a file in UTF-8.

    Raises:
        UserError: If there is none, it is empty, or it is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Give a file, or the name of a data set.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not content.strip():
        raise UserError(f"{path} is empty.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8. "
            "Convert the file, for example: iconv -f latin1 -t utf-8 IN > OUT"
        ) from error


def _rows(
    path: Path, content: str, columns: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    delimiter = FORMATS[path.suffix.lower()]
    if delimiter is None:
        yield from _json_rows(path, content, columns)
        return
    csv.field_size_limit(LONGEST_FIELD)
    quoted = delimiter != "\t" or _is_quoted(content)
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    lines = io.StringIO(content, newline="")
    reader = csv.DictReader(lines, delimiter=delimiter, quoting=quoting)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}.") from error


def _is_quoted(content: str) -> bool:
    """Returns whether all quotation marks of a .tsv surround fields, as a spreadsheet writes them.

    IANA's .tsv has no quoting: there a quotation mark at the start of a field is part of the text.
    """
    lines = io.StringIO(content, newline="")
    try:
        rows = [row for row in csv.reader(lines, delimiter="\t", strict=True) if row]
    except csv.Error:
        return False
    return len({len(row) for row in rows}) == 1 and not any("\t" in x for row in rows for x in row)


def _json_rows(
    path: Path, content: str, columns: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: not JSON: {error}.") from error
        if not isinstance(row, dict):
            example = ", ".join(f'"{column}": …' for column in columns)
            raise UserError(
                f"{path}, line {number}: each line is an object such as {{{example}}}. "
                f"Received: {line[:60]}"
            )
        yield number, row
