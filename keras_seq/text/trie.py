"""A set of byte strings as a double-array trie: two integer tables that any runtime can walk."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_seq.text.tables import narrow

NONE = -1
SEARCH_WIDTH = 4096  # starts that are tried together


@dataclass(frozen=True)
class Trie:
    """A double-array trie (Aoe 1989). The root is slot 0.

    The child of slot `s` by byte `b` is slot `t = base[s] + b`, if `parent[t] == s`. No byte leads
    out of the tables. They are int16 where their values fit, else int32.

    Attributes:
        base: `(slots,)`.
        parent: `(slots,)`; -1 where a slot is empty, and of the root.
        value: `(slots,)`: the value of the key that ends there, else -1.
        longest: Number of bytes of the longest key.
        nowhere: A slot that has no value and no child.
    """

    base: np.ndarray
    parent: np.ndarray
    value: np.ndarray
    longest: int
    nowhere: int

    @classmethod
    def build(cls, values: Mapping[bytes, int]) -> "Trie":
        """Builds the trie of the keys of `values`, whose values are 0 or more."""
        tree: dict = {}
        for key, value in values.items():
            node = tree
            for byte in key:
                node = node.setdefault(byte, {})
            node[NONE] = value
        # More than is ever used; untouched zeros take no memory.
        capacity = SEARCH_WIDTH + 256 * (2 + sum(map(len, values)))
        base, parent, value = (np.zeros(capacity, "int32") for _ in range(3))
        value[0] = tree.pop(NONE, NONE) - NONE
        used = np.zeros(capacity, bool)
        used[0] = True
        free, end, pending = 1, 1, [(-len(tree), 0, tree)]
        while pending:
            # Nodes with many children first: the others fit into the gaps.
            _, slot, children = heapq.heappop(pending)
            if not children:
                continue
            bytes_ = np.array(sorted(children))
            while used[free]:
                free += 1
            start = _find_start(used, bytes_, max(0, free - bytes_[0]))
            base[slot], slots_of_children = start, start + bytes_
            used[slots_of_children] = True
            parent[slots_of_children] = slot - NONE
            end = max(end, int(slots_of_children[-1]) + 1)
            for byte, child_slot in zip(bytes_.tolist(), slots_of_children.tolist(), strict=True):
                child = children[byte]
                value[child_slot] = child.pop(NONE, NONE) - NONE
                heapq.heappush(pending, (-len(child), child_slot, child))
        slots = end + 256  # so that no byte leads out of the tables
        longest = max(map(len, values), default=0)
        parent, value = (table[:slots] + NONE for table in (parent, value))
        return cls(narrow(base[:slots]), narrow(parent), narrow(value), longest, end)


def _find_start(used: np.ndarray, bytes_: np.ndarray, start: int) -> int:
    """Returns the first start from `start` on at which the slot of every byte is free."""
    if not used[start + bytes_].any():
        return start
    while True:
        starts = np.arange(start, start + SEARCH_WIDTH)
        fits = ~used[starts[:, None] + bytes_].any(axis=1)
        if fits.any():
            return int(starts[fits.argmax()])
        start += SEARCH_WIDTH
