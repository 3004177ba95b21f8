"""How much memory requests may use: what is known before they run."""

import time

import numpy as np
import pytest

from export.serving.budget import (
    MEASURE_SECONDS,
    SMALL_BYTES,
    Budget,
    measure_memory,
    release_memory,
)
from export.serving.costs import count_answer_bytes, count_packed_bytes
from export.serving.errors import BusyError, SizeError
from keras_seq.signature import SignatureSpec, TensorSpec

LIMIT = 10_000_000


def test_a_request_that_never_fits_is_too_large():
    with pytest.raises(SizeError, match=r"8 MB, and a request may use 8 MB .--max-memory."):
        Budget(LIMIT).reserve(LIMIT - LIMIT // 4 + 1, "The answer")


def test_what_others_hold_is_not_there():
    budget = Budget(LIMIT)
    first = budget.reserve(5_000_000, "The request")
    with pytest.raises(BusyError, match="others? requests hold 5 of 10 MB"):
        budget.reserve(3_000_000, "The request")
    first.shrink_to(1_000_000)
    with budget.hold(3_000_000, "The request"):
        assert budget.used == 4_000_000
    first.release()
    assert budget.used == 0


def test_large_requests_leave_room_for_small_ones():
    budget = Budget(LIMIT)
    budget.reserve(LIMIT - LIMIT // 4, "The request")
    with pytest.raises(BusyError):
        budget.reserve(SMALL_BYTES + 1, "The request")
    budget.reserve(SMALL_BYTES, "The request")


def test_a_request_that_grows_counts_as_a_whole():
    budget = Budget(LIMIT)
    reservation = budget.reserve(SMALL_BYTES, "The request")
    with pytest.raises(SizeError):
        reservation.grow(LIMIT - LIMIT // 4, "The answer")
    assert budget.used == SMALL_BYTES


def test_memory_that_nobody_counted_counts():
    """Where the process itself has grown, large requests wait, whatever was counted."""
    budget = Budget(200_000_000)
    held = np.ones(25_000_000)  # 200 MB
    assert measure_memory() > held.nbytes
    with pytest.raises(BusyError):
        budget.reserve(50_000_000, "The request")
    del held
    release_memory()
    time.sleep(2 * MEASURE_SECONDS)
    budget.reserve(50_000_000, "The request")


SPEC = SignatureSpec(
    "s",
    (TensorSpec("text", "uint8", ("B", "L")), TensorSpec("text_length", "int32", ("B",))),
    (TensorSpec("logits", "float32", ("B", "T", 260)), TensorSpec("key", "float32", ("B", 4, 64))),
)


def test_the_cost_of_an_answer_is_that_of_its_tensors():
    arrays = {"text": np.zeros((50, 10), "uint8"), "text_length": np.zeros(50, "int32")}
    outputs = 50 * 4 * (128 * 260 + 4 * 64)
    found = count_answer_bytes(SPEC, arrays, {"T": 128, "L": 512}, 16)
    assert 2 * outputs <= found <= 5 * outputs  # its parts, them joined, and calls of 16 rows
    alone = {name: array[:1] for name, array in arrays.items()}
    assert outputs // 50 <= count_answer_bytes(SPEC, alone, {"T": 128, "L": 512}, 16) < outputs


def test_texts_count_as_wide_as_the_longest():
    texts = [b"", *[b"a"] * 98, b"x" * 10_000]
    assert 100 * 512 <= count_packed_bytes(SPEC, {"text": texts}, {"L": 512}) < 100 * 600
    assert count_packed_bytes(SPEC, {"text": texts}, {}) >= 1_000_000
