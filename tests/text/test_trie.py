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
