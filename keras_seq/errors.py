"""The error that a user can fix, and checks of arguments."""

import contextlib
import re
import traceback
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
OWN_FOLDERS = tuple(f"{_ROOT / package}/" for package in ("keras_seq", "export"))

_in_command: ContextVar[bool] = ContextVar("in_command", default=False)

# Options of the command lines whose arguments in Python are not called the same.
ARGUMENTS = {
    "--dynamic-batch": 'dynamic=["batch"]',
    "--dynamic-length": 'dynamic=["length"]',
    "--no-split": "split=False",
    "--overwrite": "overwrite=True",
    "--sample FILE.npz": "sample=arrays",
    "--stream": "stream=True",
    "--trust": "trust=True",
    "--truncate": "truncate=True",
}
# A whole command stays what it is. An option may have a value, or a word that stands for one.
COMMAND_OR_OPTION = re.compile(
    r"(?:keras-seq|python -m export|npm|pip) [^\n]*?(?=[.;:,]?(?:\s[A-Z]|$))"
    r"|(--sample FILE\.npz|--[a-z][a-z0-9]*(?:-[a-z0-9]+)*)"
    r"(?: ([A-Z][A-Z_.:]+|[A-Z]|\d[\w.]*|mixed_\w+)(?![\w-]))?"
)


class UserError(ValueError):
    """An error in the input or the use, which the reader of the message can fix.

    The message says what was received and what to do. The command lines print it without a
    traceback and exit with status 2. It is written with the options of the command lines; in
    Python, `--max-length 5` reads `max_length=5`.
    """

    def _render_traceback_(self) -> list[str]:
        """Returns what a notebook shows: the lines of the reader's own files, and the message."""
        return render_short_traceback(self)

    def __str__(self) -> str:
        return speak(super().__str__())


def speak(text: str) -> str:
    """Returns a message as it is in a command, and with the names of arguments in Python."""
    return text if _in_command.get() else COMMAND_OR_OPTION.sub(_to_argument, text)


def _to_argument(match: re.Match[str]) -> str:
    option, value = match.groups()
    if option is None or option == "--help":
        return match[0]
    if option in ARGUMENTS:
        return ARGUMENTS[option] + (f" {value}" if value else "")
    name = option.removeprefix("--").replace("-", "_")
    return f"{name}={value}" if value else name


@contextlib.contextmanager
def speak_command_line() -> Iterator[None]:
    """Inside the block messages name the options of the command line."""
    token = _in_command.set(True)
    try:
        yield
    finally:
        _in_command.reset(token)


def choose_wording(command: str, python: str) -> str:
    """Returns the first of two texts in a command, and the second one in Python."""
    return command if _in_command.get() else python


def render_short_traceback(error: BaseException) -> list[str]:
    """Returns the lines of an error's traceback, without those inside installed packages."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(OWN_FOLDERS) and "site-packages" not in frame.filename
    ]
    lines = "".join(traceback.format_list(frames)).rstrip().splitlines()
    return [*lines, f"{type(error).__name__}: {error}"]


class ArgumentError(UserError, TypeError):
    """A function was called with an argument of another type, or one that it does not have."""


class OutOfMemoryError(UserError):
    """There is too little memory. End the process: its state may be inconsistent."""


SHOWN_NAMES = 20  # in a list of names
SHOWN_CHARACTERS = 40  # of a value
SHOWN_DEPTH = 3  # of a list in a list


def describe(value: Any, depth: int = SHOWN_DEPTH) -> str:
    """Returns a value in a few words, for what a message says it received.

    Args:
        value: The value, of any kind and size.
        depth: How many lists in lists are described.
    """
    if value is None:
        return "None"
    columns = getattr(value, "columns", None)
    if columns is not None:
        return f"a table with the columns {', '.join(map(str, [*columns][:SHOWN_NAMES]))}"
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        return f"{type(value).__name__} {value.dtype} {list(value.shape)}"
    kind = type(value).__name__
    if isinstance(value, (list, tuple, set, dict)):
        if not value:
            return f"an empty {kind}"
        if not depth:
            return f"a {kind}"
        first = next(iter(value))
        return f"a {kind} of {len(value)}, the first one {describe(first, depth - 1)}"
    try:
        # Not all of a long text: a character more shows that it is cut.
        is_text = isinstance(value, (str, bytes))
        text = repr(value[: SHOWN_CHARACTERS + 1]) if is_text else str(value)
    except Exception:  # A number of many digits has no decimal form, and a class may have none.
        return f"a {kind}"
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return f"{text} ({kind})"


def list_names(names: Iterable[Any]) -> str:
    """Returns names in quotation marks, with commas between; of many, the first ones."""
    every = [*names]
    shown = [describe(name).rpartition(" (")[0] for name in every[:SHOWN_NAMES]]
    more = len(every) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


# Lines in which TensorFlow says where in Python and in its graph an error was raised.
_PLACES = re.compile(
    r"Graph execution error|Detected at node|File \"|Stack trace|\[\[|The above|During handling"
)


def quote_error(error: BaseException, length: int = 300) -> str:
    """Returns what an error of a library says in one line: no colours, places or arguments."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = re.split(r"\n\s*(?:Call arguments|Arguments) received by", text)[0]
    text = re.sub(r"Exception encountered when calling [^\n]*?\n+", "", text)
    lines = (line.strip() for line in text.splitlines())
    told = " ".join(line.split("[[{{")[0] for line in lines if line and not _PLACES.match(line))
    told = re.sub(r"\{\{[^}]*\}\}|\[Op:\w+\]", "", told)
    told = " ".join(told.split()).rstrip(".")
    return told if len(told) <= length else f"{told[: length - 1]}…"


def require_positive(**sizes: object) -> None:
    """Raises UserError if one of `sizes` is not a whole number of 1 or more."""
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name} is a whole number, 1 or more. Received: {value!r}")


def require_share(**shares: float) -> None:
    """Raises UserError if one of `shares` is not in [0, 1)."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise UserError(f"{name} is a share in [0, 1). Received: {value!r}")
