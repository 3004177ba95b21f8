"""Turns SIGINT and SIGTERM into a flag that is polled between steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was told to stop and has saved its state. The message says how to resume it."""


class StopSignal:
    """Whether a signal was received. A second one of the same kind acts immediately."""

    def __init__(self) -> None:
        self.received = False

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopSignal"]:
        """Receives the signals inside the block; only the main thread can."""
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
