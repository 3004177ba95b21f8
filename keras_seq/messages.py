"""Hides what TensorFlow and other libraries write on standard error about themselves."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def hide_messages(*loggers: str, keep_on_error: bool = True) -> Iterator[None]:
    """Hides what libraries write on standard error inside the block.

    Their compiled parts know no other way to be quiet.

    Args:
        *loggers: Names of Python loggers whose warnings are hidden, too.
        keep_on_error: Write it after all if the block raises an error.
    """
    levels = {name: logging.getLogger(name).level for name in loggers}
    if sys.stderr is not None:  # as in a program without a console
        sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        for name in loggers:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(stderr, messages.read() if keep_on_error else b"")
            raise
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            os.dup2(stderr, 2)
            os.close(stderr)
