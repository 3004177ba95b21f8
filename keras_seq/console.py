"""What both command lines share: status lines, tables, errors, and a quiet TensorFlow."""

import contextlib
import gc
import importlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from keras_seq.errors import OutOfMemoryError, UserError, speak_command_line
from keras_seq.installation import explain_missing
from keras_seq.messages import hide_messages

Item = TypeVar("Item")

RETRY_SECONDS = 0.5  # from an interrupt to the check whether it was dropped


def is_notebook() -> bool:
    """Returns whether a cell of a notebook is running."""
    return type(sys.stderr).__module__.startswith("ipykernel")


# C0 but tabs and line breaks, DEL and C1, a lone surrogate, and what turns the direction of text.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Returns a text with its control characters as escapes of Python, such as "\\x1b".

    A terminal obeys them: a label of a stranger's file could change what stands above it.
    """
    return CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)


def print_text(text: str) -> None:
    """Prints a text without what a terminal would obey."""
    print(escape(text))


def print_status(text: str) -> None:
    """Prints what is being done, on standard error; in a notebook, which colours that, not."""
    text = escape(text)
    print(text, file=sys.stdout if is_notebook() else sys.stderr, flush=True)


def make_bar(total: int, format: str | None = None, text: str = "", delay: float = 0) -> Any:
    """Returns a `tqdm` progress bar on one line of a terminal or a cell; None elsewhere.

    Args:
        total: Number of steps.
        format: How it looks; see `tqdm`.
        text: What stands before it.
        delay: Seconds after which it is shown.
    """
    notebook = is_notebook()
    if not (notebook or sys.stderr.isatty()):
        return None
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=text or None,
        bar_format=format,
        file=sys.stdout if notebook else sys.stderr,
        mininterval=0.5 if notebook else 0.1,
        ncols=100 if notebook else None,
        leave=False,
        delay=delay,
        position=0,  # also of one inside another: one line
    )


def show_progress(items: Sequence[Item], text: str) -> Iterator[Item]:
    """Yields the items, with a progress bar on a terminal or in a notebook."""
    bar = make_bar(len(items), text=text, delay=1)
    if bar is None:
        yield from items
        return
    with bar:
        for item in items:
            yield item
            bar.update()


def format_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], format: str = "simple"
) -> str:
    """Returns a table, as text or in another format of `tabulate`, such as "html".

    Columns of numbers are aligned to the right.
    """
    from tabulate import tabulate

    numbers = [all(row[i][:1].isdigit() for row in rows) for i in range(len(columns))]
    align = ["right" if right else "left" for right in numbers] if rows else None
    return tabulate(rows, columns, format, disable_numparse=True, colalign=align)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints a table."""
    print_text(f"\n{title}\n" if title else "")
    print_text(format_table(columns, rows))
    print()


def print_json(value: dict[str, Any]) -> None:
    """Prints a JSON object on one line."""
    # JSON leaves DEL and C1 as they are; its own escapes are read back.
    text = json.dumps(value, ensure_ascii=False)
    print(CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def shorten(text: str, length: int = 60) -> str:
    """Returns a text on one line, cut to `length` characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


# Keras imports these, if installed, for wrappers and plots that no command uses: a third of the
# time in which a command starts.
UNUSED_MODULES = ("matplotlib", "pandas", "sklearn")


@contextlib.contextmanager
def _hide_modules(*modules: str) -> Iterator[None]:
    """Makes the given modules unimportable inside the block, unless they are imported already."""
    hidden = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for module in hidden:
            del sys.modules[module]


def import_quietly(module: str) -> None:
    """Imports a module that imports Keras and TensorFlow, without their messages about this
    machine and without modules that no command needs.
    """
    if module in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    collect_garbage_rarely()  # also while importing
    with hide_messages():
        with _hide_modules(*UNUSED_MODULES):
            importlib.import_module("keras")
        importlib.import_module(module)
    collect_garbage_rarely()


def collect_garbage_rarely() -> None:
    """Makes Python's garbage collector run rarely, and skip the objects that exist by now.

    Keras and TensorFlow are a million objects that stay, and tracing or converting a graph makes as
    many that live for a while: going through them takes a sixth of the time of an export.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@contextlib.contextmanager
def _persistent_interrupts() -> Iterator[None]:
    """Raises a Ctrl-C again that Python drops, as it does in a destructor, but not during the
    cleaning up after it.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or handlers[signal.SIGINT] is not signal.default_int_handler:
        yield
        return

    def interrupt(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
        error = sys.exception()
        while error is not None and not isinstance(error, KeyboardInterrupt):
            error = error.__context__
        if error is None:
            raise KeyboardInterrupt

    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def print_error(error: object) -> None:
    """Prints an error of a command on standard error."""
    print(escape(f"error: {error}"), file=sys.stderr)


def run_command(command: Callable[[], int | None]) -> int:
    """Runs a command; an error that the user can fix becomes one message and exit status 2."""
    with speak_command_line():
        return _run_command(command)


def _run_command(command: Callable[[], int | None]) -> int:
    try:
        with _persistent_interrupts():
            return command() or 0
    except OutOfMemoryError as error:
        print_error(error)
        _exit_at_once(2)  # Compiled TensorFlow frees memory twice when the process ends by itself.
    except UserError as error:
        print_error(error)
        return 2
    except ModuleNotFoundError as error:
        print_error(explain_missing(error))
        return 2
    except BrokenPipeError:  # Whoever read what is printed has read enough, as `head` has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"{where}{error.strerror or error}")
        return 2
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
        _exit_at_once(130)  # The threads of TensorFlow would take some seconds to end.


def _exit_at_once(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
