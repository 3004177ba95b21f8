import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_seq.text.trie import Trie


def found(trie, key):
    slot = 0
    for byte in key:
        child = trie.base[slot] + byte
        if child <= 0 or trie.parent[child] != slot:
            return -1
        slot = child
    return trie.value[slot]


@given(
    st.dictionaries(st.binary(max_size=6), st.integers(0, 1000), max_size=60),
    st.lists(st.binary(max_size=8), max_size=40),
)
def test_a_trie_is_a_dictionary(values, others):
    trie = Trie.of(values)
    for key in [*values, *others]:
        assert found(trie, key) == values.get(key, -1)
    assert trie.longest == max(map(len, values), default=0)
    assert trie.base.dtype == trie.parent.dtype == trie.value.dtype == np.int32
