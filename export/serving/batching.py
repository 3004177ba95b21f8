"""Runs concurrent requests together, and large ones in parts that others run between."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from export.formats.interrupt import Interrupt
from export.serving.errors import BusyError, LateError
from export.serving.settings import Limits
from export.serving.workers import SHORT_SECONDS, Slot, Workers
from keras_seq.typing import Arrays

# Largest allowed ratio of padded to real bytes in a batch: a text costs as much as the longest.
MAX_PADDING_RATIO = 1.25
FADING = 0.9  # of what is known of earlier runs, at each run
SHORT_BYTES = 256  # Up to so many bytes a text costs about the same.


@dataclass(eq=False)
class _Request:
    """A request that waits or runs: the next of its rows, and the outputs of those before."""

    context: Any
    arrays: Arrays
    rows: int
    width: int
    key: Hashable
    answer: asyncio.Future | None
    since: float = field(default_factory=time.monotonic)
    next_row: int = 0
    outputs: list[Arrays] = field(default_factory=list)
    run: "_Run | None" = None

    @property
    def is_over(self) -> bool:
        """Whether it is answered, or its client has gone."""
        return self.answer is None or self.answer.done()

    def fail(self, error: Exception) -> None:
        """Answers with an error, if it is not over."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)


@dataclass(eq=False)
class _Run:
    """One call of the runtime: rows of several requests, each `(request, start, stop)`."""

    parts: list[tuple[_Request, int, int]]
    interrupt: Interrupt = field(default_factory=Interrupt)

    @property
    def rows(self) -> int:
        return sum(stop - start for _, start, stop in self.parts)


# Takes the context of requests, and for each its arrays with the first and last row; returns the
# outputs of each.
RunFunction = Callable[[Any, Sequence[tuple[Arrays, int, int]], Interrupt], list[Arrays]]


class Batcher:
    """The queue of one signature.

    Args:
        run: Runs rows of several requests of the same context; called in a thread of `workers`.
        workers: Threads that run the runtime, shared by all signatures.
        limits: Batch size, queue and deadline.
        observe: Called after each run with its rows, the seconds that each request waited, and the
            seconds that it ran.
    """

    def __init__(
        self,
        run: RunFunction,
        workers: Workers,
        limits: Limits,
        observe: Callable[[int, list[float], float], None] = lambda *_: None,
    ) -> None:
        self._run, self._workers = run, workers
        self._limits = limits
        self._observe = observe
        self._queue: list[_Request] = []
        self._arrived = asyncio.Event()
        self._runs: dict[asyncio.Task, _Run] = {}
        self._dispatcher: asyncio.Task | None = None
        self._seconds: dict[int, float] = {}  # of a run, by the power of two of its size

    def refuse_if_full(self) -> None:
        """Raises BusyError if the queue is full."""
        if len(self._queue) >= self._limits.max_queue:
            raise BusyError(
                f"{len(self._queue)} requests of this model are waiting, and no more may "
                "(--max-queue). Ask again later, or serve it with more workers or machines."
            )

    async def submit(
        self, context: Any, arrays: Arrays, rows: int, width: int, key: Hashable
    ) -> list[Arrays]:
        """Returns the outputs of one request, in parts of its rows.

        Args:
            context: What runs it; passed to `run`.
            arrays: Inputs of the request.
            rows: Number of its rows.
            width: Width of each row; requests that run together are padded to the widest.
            key: Requests of one context with equal keys may run together.

        Raises:
            BusyError: If the queue is full.
            LateError: If its answer is not there in time.
        """
        self.refuse_if_full()
        loop = asyncio.get_running_loop()
        if self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch())
        request = _Request(context, arrays, rows, width, key, loop.create_future())
        self._queue.append(request)
        self._arrived.set()
        deadline = loop.call_later(self._limits.deadline_s, self._refuse_late, request)
        try:
            return await request.answer
        finally:
            deadline.cancel()
            self._leave(request)
            # An error holds this frame: without this they would hold each other, and the arrays.
            request.answer = request.run = None

    def stop(self) -> None:
        """Ends what runs, and refuses what waits."""
        for request in self._queue:
            request.fail(BusyError("The server stops. Ask another one."))
        self._queue.clear()
        for run in self._runs.values():
            run.interrupt.set()

    def _leave(self, request: _Request) -> None:
        """Takes a request out; a run that nobody waits for any more ends."""
        if request in self._queue:
            self._queue.remove(request)
        if request.run is not None and all(one.is_over for one, _, _ in request.run.parts):
            request.run.interrupt.set()

    async def _dispatch(self) -> None:
        while True:
            await self._arrived.wait()
            if self._queue:
                await self._start_run()
            else:
                self._arrived.clear()

    async def _start_run(self) -> None:
        """Runs the next requests when there is a slot; a frame of its own, which keeps none."""
        slot = await self._workers.acquire(
            self._estimate(self._queue[0].rows, self._queue[0].width)
        )
        if self._queue and self._limits.max_wait_ms and not self._is_full():
            await asyncio.sleep(self._limits.max_wait_ms / 1000)
        run = self._next(slot)
        if not run.parts:
            self._workers.release(slot)
            return
        task = asyncio.create_task(self._answer(run, slot))
        self._runs[task] = run
        task.add_done_callback(self._runs.pop)

    def _is_full(self) -> bool:
        return sum(one.rows - one.next_row for one in self._queue) >= self._limits.max_batch

    def _next(self, slot: Slot) -> _Run:
        """Takes rows of the first request of the queue, and of those that fit to it."""
        run = _Run([])
        rows = filled = widest = 0
        self._queue = [request for request in self._queue if not request.is_over]
        for request in list(self._queue):
            count = min(request.rows - request.next_row, self._limits.max_batch)
            width = max(request.width, SHORT_BYTES)
            wider = max(widest, width)
            more, fuller = rows + count, filled + count * width
            fits = not run.parts or (
                (request.context, request.key) == (run.parts[0][0].context, run.parts[0][0].key)
                and more <= self._limits.max_batch
                and more * wider <= MAX_PADDING_RATIO * fuller
                and not (slot.is_express and self._estimate(more, wider) > SHORT_SECONDS)
            )
            if fits:
                self._queue.remove(request)
                start = request.next_row
                request.next_row, request.run = start + count, run
                run.parts.append((request, start, request.next_row))
                rows, filled, widest = more, fuller, wider
        return run

    def _estimate(self, rows: int, width: int) -> float:
        """Returns how long a run takes, from earlier ones of about its size."""
        size = _measure(min(rows, self._limits.max_batch), width)
        known = [(abs(other - size), other) for other in self._seconds]
        if not known:
            return float("inf")
        _, nearest = min(known)
        return self._seconds[nearest] * 2.0 ** max(size - nearest, 0)

    def _learn(self, rows: int, width: int, seconds: float) -> None:
        size = _measure(rows, width)
        # Nearly the longest of late: what a call writes, and so how long it takes, may vary much.
        faded = FADING * self._seconds.get(size, seconds) + (1 - FADING) * seconds
        self._seconds[size] = max(seconds, faded)

    def _refuse_late(self, request: _Request) -> None:
        request.fail(
            LateError(
                f"The request has taken longer than the {self._limits.deadline_s:g} s it may "
                "(--deadline). Ask again later, or for less at once."
            )
        )

    async def _answer(self, run: _Run, slot: Slot) -> None:
        start = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            parts = [(request.arrays, first, last) for request, first, last in run.parts]
            context = run.parts[0][0].context
            outputs, used = await loop.run_in_executor(
                self._workers.executor, self._time, context, parts, run.interrupt
            )
        except Exception as error:
            for request, _, _ in run.parts:
                request.fail(error)
            return
        finally:
            self._workers.release(slot)
        seconds = time.monotonic() - start
        self._learn(run.rows, max(request.width for request, _, _ in run.parts), used)
        waited = [start - request.since for request, first, _ in run.parts if first == 0]
        self._observe(run.rows, waited, seconds)
        for (request, _, _), output in zip(run.parts, outputs, strict=True):
            request.run = None
            if request.answer is None or request.answer.done():
                continue
            request.outputs.append(output)
            if request.next_row >= request.rows:
                request.answer.set_result(request.outputs)
            else:  # Others have their turn before its next part.
                self._queue.append(request)
                self._arrived.set()

    def _time(
        self, context: Any, parts: Sequence[tuple[Arrays, int, int]], interrupt: Interrupt
    ) -> tuple[list[Arrays], float]:
        """Returns the outputs of a run, and the seconds of a core that its thread used.

        The time on the clock would grow with all else that runs.
        """
        start = time.thread_time()
        return self._run(context, parts, interrupt), time.thread_time() - start


def _measure(rows: int, width: int) -> int:
    return int(rows * max(width, SHORT_BYTES)).bit_length()
