"""Which requests run together."""

import asyncio
import contextlib
import gc
import threading
import time
import weakref

import numpy as np
import pytest

from export.serving.batching import Batcher
from export.serving.errors import BusyError, LateError
from export.serving.settings import Limits
from export.serving.workers import Workers


def busy(seconds):
    """Uses a core for a while."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def batches(widths, limits=None, rows=1, keys=None):
    """The widths of the requests of each call, the first of which waits for nobody."""
    found = []

    def run(_, parts, interrupt):
        found.append([arrays["text"].shape[1] for arrays, _, _ in parts])
        busy(0.03)  # too long for the express slot
        return [{"text": arrays["text"][start:stop]} for arrays, start, stop in parts]

    async def asked():
        workers = Workers(1)
        batcher = Batcher(run, workers, limits or Limits())
        submitted = [
            batcher.submit(None, {"text": np.zeros((rows, w))}, rows, w, (keys or {}).get(w))
            for w in widths
        ]
        answers = await asyncio.gather(*submitted, return_exceptions=True)
        workers.close()
        for width, answer in zip(widths, answers, strict=True):
            if isinstance(answer, Exception):
                found.append(answer)
            else:
                assert sum(len(part["text"]) for part in answer) == rows
                assert {part["text"].shape[1] for part in answer} == {width}
        return found

    return asyncio.run(asked())


def test_at_most_so_many_rows_run_together():
    assert [len(batch) for batch in batches([5] * 40, Limits(max_batch=16))] == [16, 16, 8]
    assert [len(b) for b in batches([5] * 9, Limits(max_batch=16), rows=5)] == [3, 3, 3]
    assert [len(batch) for batch in batches([5] * 3, Limits(max_batch=1))] == [1, 1, 1]


def test_requests_of_many_rows_take_turns():
    found = batches([5, 6], Limits(max_batch=4), rows=10)
    assert found == [[5], [6], [5], [6], [5, 6]]  # 4 rows each, and the last 2 of both together


def test_long_and_short_texts_run_apart():
    assert batches([10, 1000, 11, 900, 12]) == [[10, 11, 12], [1000, 900]]


def test_no_batch_is_padded_by_more_than_a_quarter():
    widths = list(np.random.default_rng(0).integers(1, 2000, 200))
    found = batches(widths)
    assert sorted(width for batch in found for width in batch) == sorted(widths)
    for batch in found:
        assert max(batch) <= 256 or max(batch) * len(batch) <= 1.25 * sum(
            max(w, 256) for w in batch
        )
    assert len(found) < 100


def test_the_first_that_waits_is_never_left_out():
    # The widest comes early, and would never fit to the many that come after it.
    found = batches([2000, *[5] * 100], Limits(max_batch=10))
    assert found[0] == [2000]


def test_other_keys_run_apart():
    assert batches([4, 5, 4, 5], keys={4: "a", 5: "b"}) == [[4, 4], [5, 5]]


def test_what_has_no_width_runs_together():
    assert batches([0, 0, 0]) == [[0, 0, 0]]


def test_more_than_may_wait_are_refused():
    found = batches([5] * 6, Limits(max_batch=1, max_queue=4))
    assert sum(isinstance(one, BusyError) for one in found) == 2
    assert sum(one == [5] for one in found) == 4


def test_what_waits_for_too_long_is_told_so():
    found = batches([5] * 3, Limits(max_batch=1, deadline_s=0))
    with pytest.raises(LateError, match="longer than the 0 s"):
        raise next(one for one in found if isinstance(one, Exception))


async def _locked(workers):
    while workers._free:
        await asyncio.sleep(0)


def test_a_deadline_counts_while_another_signature_runs():
    """Both share the workers: one waits for the other's call, and no longer than its deadline."""
    done = threading.Event()

    def run_long(_, parts, interrupt):
        assert done.wait(60)
        return [arrays for arrays, _, _ in parts]

    async def ask():
        workers = Workers(1)
        long = Batcher(run_long, workers, Limits())
        short = Batcher(run_long, workers, Limits(deadline_s=0.01))
        first = asyncio.create_task(long.submit(None, {"text": np.zeros(1)}, 1, 1, None))
        await _locked(workers)
        try:
            with pytest.raises(LateError, match="0.01 s"):
                await short.submit(None, {"text": np.zeros(1)}, 1, 1, None)
            assert not first.done()
        finally:
            done.set()
        await first
        workers.close()

    asyncio.run(ask())


@pytest.mark.parametrize("ending", ["cancelled", "late", "stopped"])
def test_a_run_that_nobody_waits_for_is_interrupted(ending):
    ended = threading.Event()

    def run(_, parts, interrupt):
        while not interrupt.is_set:
            time.sleep(0.001)
        ended.set()
        raise RuntimeError("interrupted")

    async def ask():
        workers = Workers(1)
        batcher = Batcher(run, workers, Limits(deadline_s=0.05 if ending == "late" else 60))
        task = asyncio.create_task(batcher.submit(None, {"text": np.zeros(1)}, 1, 1, None))
        await _locked(workers)
        if ending == "cancelled":
            task.cancel()
        elif ending == "stopped":
            batcher.stop()
        with pytest.raises((asyncio.CancelledError, LateError, RuntimeError)):
            await task
        assert await asyncio.to_thread(ended.wait, 60)
        while not workers._free:  # and its worker is free
            await asyncio.sleep(0.001)
        workers.close()

    asyncio.run(ask())


def test_a_run_that_another_waits_for_goes_on():
    go = threading.Event()

    def run(_, parts, interrupt):
        assert go.wait(60)
        assert not interrupt.is_set
        return [arrays for arrays, _, _ in parts]

    async def ask():
        workers = Workers(1)
        batcher = Batcher(run, workers, Limits())
        tasks = [
            asyncio.create_task(batcher.submit(None, {"text": np.zeros(1)}, 1, 1, None))
            for _ in range(2)
        ]
        await _locked(workers)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        go.set()
        assert len(await tasks[1]) == 1
        workers.close()

    asyncio.run(ask())


def test_short_calls_do_not_wait_for_long_ones():
    """Of all workers that are taken by long calls, there is one more for calls known as short."""
    go = threading.Event()

    def run_long(_, parts, interrupt):
        assert go.wait(60)
        return [arrays for arrays, _, _ in parts]

    def run_short(_, parts, interrupt):
        return [arrays for arrays, _, _ in parts]

    async def ask():
        workers = Workers(1)
        long, short = (Batcher(run, workers, Limits()) for run in (run_long, run_short))
        ask_short = lambda: short.submit(None, {"text": np.zeros(1)}, 1, 1, None)  # noqa: E731
        await ask_short()  # So its duration is known.
        first = asyncio.create_task(long.submit(None, {"text": np.zeros(1)}, 1, 1, None))
        await _locked(workers)
        await asyncio.wait_for(ask_short(), 60)
        assert not first.done()
        go.set()
        await first
        workers.close()

    asyncio.run(ask())


def test_an_error_keeps_nothing():
    """The error of a request does not hold its arrays until the next collection."""

    def run(_, parts, interrupt):
        raise RuntimeError("refused")

    async def ask():
        workers = Workers(1)
        batcher = Batcher(run, workers, Limits())
        array = np.zeros(1)
        alive = weakref.ref(array)
        with contextlib.suppress(RuntimeError):
            await batcher.submit(None, {"text": array}, 1, 1, None)
        del array
        for _ in range(10):  # The thread and the tasks end.
            await asyncio.sleep(0.01)
        workers.close()
        return alive()

    gc.disable()
    try:
        assert asyncio.run(ask()) is None
    finally:
        gc.enable()
