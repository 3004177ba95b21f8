"""Which requests run together."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from export.serving.batching import Batcher, BusyError, LateError
from export.serving.settings import Limits


def batches(widths, limits=None, rows=1, keys=None):
    """The widths of the requests of each call, the first of which waits for nobody."""
    found = []

    def run(requests):
        found.append([len(request["text"]) for request in requests])
        return requests

    async def asked():
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(run, executor, asyncio.Semaphore(1), limits or Limits())
            submitted = [
                batcher.submit({"text": np.zeros(width)}, rows, width, (keys or {}).get(width))
                for width in widths
            ]
            answers = await asyncio.gather(*submitted, return_exceptions=True)
            for width, answer in zip(widths, answers, strict=True):
                if isinstance(answer, Exception):
                    found.append(answer)
                else:
                    assert len(answer["text"]) == width
        return found

    return asyncio.run(asked())


def test_at_most_so_many_rows_run_together():
    assert [len(batch) for batch in batches([5] * 40, Limits(max_batch=16))] == [16, 16, 8]
    assert [len(b) for b in batches([5] * 9, Limits(max_batch=16), rows=5)] == [3, 3, 3]
    assert [len(batch) for batch in batches([5] * 3, Limits(max_batch=1))] == [1, 1, 1]


def test_more_rows_than_a_batch_has_run_alone():
    assert batches([5, 5], Limits(max_batch=4), rows=6) == [[5], [5]]


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


def test_a_deadline_counts_while_another_signature_runs():
    """Both share the workers: one waits for the other's call, and no longer than its deadline."""
    done = threading.Event()

    def run_long(requests):
        assert done.wait(60)
        return requests

    async def ask():
        with ThreadPoolExecutor(1) as executor:
            slots = asyncio.Semaphore(1)
            long = Batcher(run_long, executor, slots, Limits())
            short = Batcher(list, executor, slots, Limits(deadline_s=0.01))
            first = asyncio.create_task(long.submit({"text": np.zeros(1)}, 1, 1, None))
            while not slots.locked():
                await asyncio.sleep(0)
            try:
                with pytest.raises(LateError, match="0.01 s"):
                    await short.submit({"text": np.zeros(1)}, 1, 1, None)
                assert not first.done()
            finally:
                done.set()
            await first

    asyncio.run(ask())
