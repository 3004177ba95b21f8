"""Ends a call of a runtime from another thread."""

from collections.abc import Callable


class Interrupt:
    """A request to end the call that it was given to, soon and without an answer.

    Attributes:
        is_set: Whether the call was asked to end.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._stop: Callable[[], None] | None = None

    def set(self) -> None:
        """Asks the call to end."""
        self.is_set = True
        if self._stop is not None:
            self._stop()

    def bind(self, stop: Callable[[], None]) -> None:
        """Says how the call is ended; done at once if that was asked for already."""
        self._stop = stop
        if self.is_set:
            stop()
