"""A set of byte strings as a double-array trie: two integer tables that any runtime can walk."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_seq.text.tables import small

NONE = -1
SEARCHED = 4096  # places looked at together


@dataclass(frozen=True)
class Trie:
    """A double-array trie (Aoe 1989). The root is slot 0.

    The child of slot `s` by byte `b` is slot `t = base[s] + b`, if `parent[t] == s`. No byte leads
    out of the tables. They are int16 where their values fit, else int32.

    Attributes:
        base: `(slots,)`.
        parent: `(slots,)`; -1 where a slot is empty, and of the root.
        value: `(slots,)`: of the key that ends there, else -1.
        longest: Bytes of the longest key.
        nowhere: A slot that has no value and no child.
    """

    base: np.ndarray
    parent: np.ndarray
    value: np.ndarray
    longest: int
    nowhere: int

    @classmethod
    def of(cls, values: Mapping[bytes, int]) -> "Trie":
        """The trie of the keys of `values`, whose values are 0 or more."""
        tree: dict = {}
        for key, value in values.items():
            node = tree
            for byte in key:
                node = node.setdefault(byte, {})
            node[NONE] = value
        # More than is ever used; zeros that are not touched take no memory.
        capacity = SEARCHED + 256 * (2 + sum(map(len, values)))
        base, parent, value = (np.zeros(capacity, "int32") for _ in range(3))
        value[0] = tree.pop(NONE, NONE) - NONE
        used = np.zeros(capacity, bool)
        used[0] = True
        free, end, pending = 1, 1, [(-len(tree), 0, tree)]
        while pending:
            # Those with many children first: the others find room in the gaps.
            _, slot, children = heapq.heappop(pending)
            if not children:
                continue
            bytes_ = np.array(sorted(children))
            while used[free]:
                free += 1
            start = _place(used, bytes_, max(0, free - bytes_[0]))
            base[slot], places = start, start + bytes_
            used[places] = True
            parent[places] = slot - NONE
            end = max(end, int(places[-1]) + 1)
            for byte, place in zip(bytes_.tolist(), places.tolist(), strict=True):
                child = children[byte]
                value[place] = child.pop(NONE, NONE) - NONE
                heapq.heappush(pending, (-len(child), place, child))
        slots = end + 256  # So that no walk leaves the tables, whatever byte comes.
        longest = max(map(len, values), default=0)
        parent, value = (table[:slots] + NONE for table in (parent, value))
        return cls(small(base[:slots]), small(parent), small(value), longest, end)


def _place(used: np.ndarray, bytes_: np.ndarray, start: int) -> int:
    """The first place from `start` on where the slot of every byte is free."""
    if not used[start + bytes_].any():
        return start
    while True:
        starts = np.arange(start, start + SEARCHED)
        fits = ~used[starts[:, None] + bytes_].any(axis=1)
        if fits.any():
            return int(starts[fits.argmax()])
        start += SEARCHED
