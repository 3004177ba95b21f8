"""The threads that run the runtime, shared by all signatures in fair turns."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from export.serving.budget import SMALL_BYTES

T = TypeVar("T")

# A call up to so long need not wait until a longer one has ended: it gets a thread of its own, and
# the cores divide themselves among both.
SHORT_SECONDS = 0.02


@dataclass(frozen=True)
class Slot:
    """The right to run one call.

    Attributes:
        is_express: Whether it is for short calls only.
    """

    is_express: bool


class Workers:
    """Threads for calls of the runtime: `count` for any, and one more for short calls.

    Signatures get slots in the order in which they ask, so each has its turn.

    Args:
        count: Number of calls at once.
    """

    def __init__(self, count: int) -> None:
        self.executor = ThreadPoolExecutor(count + 1, thread_name_prefix="runtime")
        # One thread: several would keep the event loop from its turns with the interpreter.
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._free = count
        self._express_is_free = True
        self._waiting: deque[tuple[asyncio.Future[Slot], bool]] = deque()

    async def acquire(self, seconds: float) -> Slot:
        """Returns a slot for a call that takes about so many seconds, when there is one."""
        is_short = seconds <= SHORT_SECONDS
        if (slot := self._take(is_short)) is not None:
            return slot
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, is_short))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(turn.result())
            raise

    def release(self, slot: Slot) -> None:
        """Gives a slot back: to the first that waits for one of its kind."""
        if slot.is_express:
            self._express_is_free = True
        else:
            self._free += 1
        for waiting in list(self._waiting):
            turn, is_short = waiting
            if turn.done():
                self._waiting.remove(waiting)
            elif (free := self._take(is_short)) is not None:
                self._waiting.remove(waiting)
                turn.set_result(free)

    def _take(self, is_short: bool) -> Slot | None:
        if self._free:
            self._free -= 1
            return Slot(is_express=False)
        if is_short and self._express_is_free:
            self._express_is_free = False
            return Slot(is_express=True)
        return None

    async def run_beside(self, function: Callable[[], T], size: int) -> T:
        """Returns what a function returns, without keeping the event loop from others.

        Args:
            function: Reads, copies or writes `size` bytes.
            size: Number of bytes. Few are handled at once: a thread would take longer.
        """
        if size <= SMALL_BYTES:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._beside, function)

    def close(self) -> None:
        """Lets threads end after the calls that they run."""
        for executor in (self.executor, self._beside):
            executor.shutdown(wait=False, cancel_futures=True)
