import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_seq.text.trie import Trie


def found(trie, key):
    slot = 0
    for byte in key:
        child = int(trie.base[slot]) + byte
        slot = child if trie.parent[child] == slot else trie.nowhere
    return trie.value[slot]


@given(
    st.dictionaries(st.binary(max_size=6), st.integers(0, 1000), max_size=60),
    st.lists(st.binary(max_size=8), max_size=40),
)
def test_a_trie_is_a_dictionary(values, others):
    trie = Trie.build(values)
    for key in [*values, *others]:
        assert found(trie, key) == values.get(key, -1)
    assert trie.longest == max(map(len, values), default=0)
    assert trie.base.dtype == trie.parent.dtype == trie.value.dtype == np.int16


@pytest.mark.slow
def test_large_values_take_wider_tables():
    keys = {b"%d" % i: i for i in range(40_000)}
    trie = Trie.build(keys)
    assert trie.base.dtype == trie.value.dtype == np.int32
    for key in (b"0", b"7", b"39999", b"12345"):
        assert found(trie, key) == keys[key]
    assert found(trie, b"40000") == -1


def test_the_time_to_build_grows_with_the_keys():
    """Ten times the keys take about ten times as long, not a hundred times."""

    def measure(count):
        keys = {f"{7919 * i % count:x}-{i % 97}".encode(): i for i in range(count)}
        start = time.process_time()
        trie = Trie.build(keys)
        seconds = time.process_time() - start
        for key in list(keys)[::997]:
            assert found(trie, key) == keys[key]
        assert len(trie.base) < 1.2 * len({key[:i] for key in keys for i in range(9)}) + 600
        return seconds

    assert measure(50_000) < 40 * max(measure(5_000), 0.02)
