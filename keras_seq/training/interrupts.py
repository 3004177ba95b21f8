"""What SIGINT and SIGTERM do while a run trains: at once, or after the step."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import keras

from keras_seq.errors import render_short_traceback

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was told to stop and has saved its state. The message says how to resume it."""

    def _render_traceback_(self) -> list[str]:
        return render_short_traceback(self)


class StopSignal:
    """Whether a signal was received.

    One that comes where nothing can be lost raises `Interrupted`, as one does while TensorFlow
    traces a step; else, and always with JAX, whose compiler does not outlive an exception, it is
    only noted. A second one of the same kind does what it did before.
    """

    def __init__(self) -> None:
        self.received = False
        self._postponed = False

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
            if _can_raise(self._postponed):
                raise Interrupted

        for number in SIGNALS:
            signal.signal(number, receive)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def postpone(self, postponed: bool) -> None:
        """Sets whether a signal that comes from now on is noted only, unless a step is traced."""
        self._postponed = postponed

    def check(self) -> None:
        """Raises `Interrupted` if a signal was received, which Python may have dropped."""
        if self.received:
            raise Interrupted


def _can_raise(in_step: bool) -> bool:
    """Returns whether an exception does no harm now. While TensorFlow traces, no step runs."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not in_step or tf.inside_function()
