"""Reads texts from the user's own files: CSV, TSV, JSON lines."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_seq.data.corpus import LabelledTexts
from keras_seq.data.labels import describe_fault
from keras_seq.errors import UserError, describe, list_names
from keras_seq.files import LONGEST_ROW, parse_json, read_utf8
from keras_seq.text.utf8 import replace_surrogates

FORMATS = {".csv": ",", ".tsv": "\t", ".jsonl": None}
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
        UserError: If the file is missing, empty, not UTF-8, lacks a column or a label, has one
            class only, or a row of more than `LONGEST_ROW` characters.
    """
    path = Path(path)
    texts, labels = [], []
    for line, (text, label) in _columns(path, (text_column, label_column), _OPTIONS):
        text, label = replace_surrogates(text), label.strip()
        if not label:
            raise UserError(
                f"{path}, line {line}: the label is empty. Give it one or drop the row."
            )
        fault = describe_fault(label)
        if fault:
            raise UserError(
                f"{path}, line {line}: the label {describe(label)} {fault}. Correct it, or name "
                "the column of the labels: --label-column"
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
    return [[replace_surrogates(row[i]) for row in rows] for i in range(len(columns))]


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
                f"{describe(row[None][0])}. Put a cell with a separator in it between quotation "
                "marks."
            )
        for column in columns:
            if column in row and _is_missing(row[column]):
                raise UserError(
                    f"{path}, line {line}: there is nothing in the column {column!r}. Complete the "
                    "row or drop it."
                )
            if column not in row:
                raise UserError(
                    f"{path}, line {line}: there is no column {column!r}. It has: "
                    f"{list_names(name for name in row if name is not None)}. Name yours with "
                    f"{' and '.join(options)}."
                )
            if isinstance(row[column], list | dict):
                raise UserError(
                    f"{path}, line {line}: the column {column!r} holds {describe(row[column])}, "
                    "which is not a text. Give each row one text or number there."
                )
        yield line, [str(row[column]) for column in columns]


def _is_missing(value: Any) -> bool:
    """Returns whether a cell holds nothing; NaN is what tables have there."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _rows(
    path: Path, content: str, columns: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    delimiter = FORMATS[path.suffix.lower()]
    if delimiter is None:
        yield from _json_rows(path, content, columns)
        return
    csv.field_size_limit(LONGEST_ROW)
    quoted = delimiter != "\t" or _is_quoted(content)
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    lines = _Lines(path, content)
    reader = csv.DictReader(lines, delimiter=delimiter, quoting=quoting)
    try:
        lines.begin_row()
        header = reader.fieldnames or ()
        for column in columns:
            if header.count(column) > 1:
                raise UserError(
                    f"{path}, line {reader.line_num}: there are {header.count(column)} columns "
                    f"{column!r}. Rename all but one."
                )
        while True:
            lines.begin_row()
            row = next(reader, None)
            if row is None:
                return
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}.") from error


class _Lines:
    """The lines of a table, of which a row in quotation marks may take several.

    Args:
        path: The file, for error messages.
        content: What is in it.
    """

    def __init__(self, path: Path, content: str) -> None:
        self._path = path
        self._lines = io.StringIO(content, newline="")
        self._line = 0
        self.begin_row()

    def begin_row(self) -> None:
        """The next line is the first one of a row."""
        self._first, self._size = self._line + 1, 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        """Returns the next line.

        Raises:
            UserError: If the row is too long, or ends with the file inside quotation marks.
        """
        line = self._lines.readline(LONGEST_ROW + 1)
        if not line and self._size:
            raise UserError(
                f"{self._path}, line {self._first}: a quotation mark is opened in this row and "
                "never closed. Close it, or write a quotation mark in a text twice."
            )
        if not line:
            raise StopIteration
        # Of a blank line the reader makes no row: it asks for the next one.
        if self._size or line.strip("\r\n"):
            self._first = self._first if self._size else self._line + 1
            self._size += len(line)
        self._line += 1
        if self._size > LONGEST_ROW:
            raise UserError(_describe_long_row(self._path, self._first))
        return line


def _describe_long_row(path: Path, line: int) -> str:
    return (
        f"{path}, line {line}: the row has more than {LONGEST_ROW:,} characters. Cut it into "
        "several; in a table, see that each quotation mark is closed."
    )


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
        if len(line) > LONGEST_ROW:
            raise UserError(_describe_long_row(path, number))
        try:
            row = parse_json(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON: {error}.") from error
        if not isinstance(row, dict):
            example = ", ".join(f'"{column}": …' for column in columns)
            raise UserError(
                f"{path}, line {number}: each line is an object such as {{{example}}}. "
                f"Received: {line[:60]!r}"
            )
        yield number, row
