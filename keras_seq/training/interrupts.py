"""Ctrl-C, and the signal that a cluster ends a job with, as a wish that is seen between steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run that was told to stop, and has saved its state. The message says how to go on."""


class StopWish:
    """Whether a signal has come; the second one of a kind acts at once, as it does by default."""

    def __init__(self) -> None:
        self.received = False

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopWish"]:
        """Takes the signals while inside; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def receive(number: int, frame: FrameType | None) -> None:
            self.received = True
            signal.signal(number, before[number])

        for number in SIGNALS:
            signal.signal(number, receive)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
