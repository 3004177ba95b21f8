"""Runs concurrent requests together."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from export.serving.settings import Limits
from keras_seq.typing import Arrays

# Largest allowed ratio of padded to real bytes in a batch: a text costs as much as the longest.
MAX_PADDING_RATIO = 1.25
SHORT_BYTES = 256  # Up to so many bytes a text costs about the same.


class BusyError(Exception):
    """The queue is full."""


class LateError(Exception):
    """A request has waited for longer than its deadline."""


@dataclass(eq=False)
class _Waiting:
    arrays: Arrays
    rows: int
    width: int
    key: Hashable
    answer: asyncio.Future
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """The queue of one signature.

    Args:
        run: Takes the arrays of several requests and returns the outputs of each; called in
            `executor`.
        executor: Threads that run the runtime, shared by all signatures.
        worker_slots: One slot for each of these threads, shared, too.
        limits: Batch size, queue and deadline.
        observe: Called after each run with its rows, the seconds that each request waited, and the
            seconds that it ran.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Arrays]], list[Arrays]],
        executor: Executor,
        worker_slots: asyncio.Semaphore,
        limits: Limits,
        observe: Callable[[int, list[float], float], None] = lambda *_: None,
    ) -> None:
        self._run = run
        self._executor = executor
        self._limits = limits
        self._observe = observe
        self._queue: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._worker_slots = worker_slots
        self._running: set[asyncio.Task] = set()
        self._dispatcher: asyncio.Task | None = None

    def refuse_if_full(self) -> None:
        """Raises BusyError if the queue is full."""
        if len(self._queue) >= self._limits.max_queue:
            raise BusyError(
                f"{len(self._queue)} requests of this model are waiting, and no more may "
                "(--max-queue). Ask again later, or serve it with more workers or machines."
            )

    async def submit(self, arrays: Arrays, rows: int, width: int, key: Hashable) -> Arrays:
        """Returns the outputs of one request.

        Args:
            arrays: Inputs of the request.
            rows: Number of its rows.
            width: Width of each row; requests that run together are padded to the widest.
            key: Requests with equal keys may run together.

        Raises:
            BusyError: If the queue is full.
            LateError: If its turn does not come in time.
        """
        self.refuse_if_full()
        if self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch())
        waiting = _Waiting(arrays, rows, width, key, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._arrived.set()
        deadline = asyncio.get_running_loop().call_later(
            self._limits.deadline_s, self._refuse_late, waiting
        )
        try:
            return await waiting.answer
        finally:
            deadline.cancel()
            # A request whose client has gone is not computed.
            if waiting in self._queue:
                self._queue.remove(waiting)

    async def _dispatch(self) -> None:
        while True:
            await self._arrived.wait()
            await self._worker_slots.acquire()
            if self._queue and self._limits.max_wait_ms and not self._is_full():
                await asyncio.sleep(self._limits.max_wait_ms / 1000)
            batch = self._next()
            if not batch:
                self._worker_slots.release()
                self._arrived.clear()
                continue
            task = asyncio.create_task(self._answer(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _is_full(self) -> bool:
        return sum(waiting.rows for waiting in self._queue) >= self._limits.max_batch

    def _next(self) -> list[_Waiting]:
        """Takes the first request of the queue, and those that fit to it."""
        batch: list[_Waiting] = []
        rows = filled = widest = 0
        for waiting in list(self._queue):
            width = max(waiting.width, SHORT_BYTES)
            wider = max(widest, width)
            more = rows + waiting.rows
            fuller = filled + waiting.rows * width
            fits = not batch or (
                waiting.key == batch[0].key
                and more <= self._limits.max_batch
                and more * wider <= MAX_PADDING_RATIO * fuller
            )
            if fits:
                self._queue.remove(waiting)
                batch.append(waiting)
                rows, filled, widest = more, fuller, wider
        return batch

    def _refuse_late(self, waiting: _Waiting) -> None:
        if waiting not in self._queue:
            return
        self._queue.remove(waiting)
        waiting.answer.set_exception(
            LateError(
                f"The request has waited for longer than the {self._limits.deadline_s:g} s it may "
                "(--deadline). Ask again later."
            )
        )

    async def _answer(self, batch: list[_Waiting]) -> None:
        start = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            arrays = [waiting.arrays for waiting in batch]
            outputs: Any = await loop.run_in_executor(self._executor, self._run, arrays)
        except Exception as error:
            outputs = [error] * len(batch)
        finally:
            self._worker_slots.release()
        self._observe(
            sum(waiting.rows for waiting in batch),
            [start - waiting.since for waiting in batch],
            time.monotonic() - start,
        )
        for waiting, output in zip(batch, outputs, strict=True):
            if waiting.answer.done():  # Its client has gone.
                continue
            if isinstance(output, Exception):
                waiting.answer.set_exception(output)
            else:
                waiting.answer.set_result(output)
