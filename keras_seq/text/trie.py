"""A set of byte strings as a double-array trie: two integer tables that any runtime can walk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_seq.text.tables import narrow

NONE = -1
SEARCH_WIDTH = 1024  # starts that are tried together


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
        children, ends = _make_nodes(values)
        slots = _place_nodes(children)
        size = int(slots.max()) + 257  # so that no byte leads out of the tables
        base, parent, value = np.zeros(size, "int32"), *np.full((2, size), NONE, "int32")
        value[slots] = ends
        for slot, nodes in zip(slots.tolist(), children, strict=True):
            for byte, node in nodes.items():
                base[slot] = slots[node] - byte
                parent[slots[node]] = slot
        longest = max(map(len, values), default=0)
        return cls(narrow(base), narrow(parent), narrow(value), longest, size - 256)


def _make_nodes(values: Mapping[bytes, int]) -> tuple[list[dict[int, int]], list[int]]:
    """Returns the children of each node by byte, and the value of the key that ends there or -1."""
    children: list[dict[int, int]] = [{}]
    ends = [NONE]
    for key, value in values.items():
        node = 0
        for byte in key:
            child = children[node].setdefault(byte, len(children))
            if child == len(children):
                children.append({})
                ends.append(NONE)
            node = child
        ends[node] = value
    return children, ends


def _place_nodes(children: Sequence[Mapping[int, int]]) -> np.ndarray:
    """Returns the slot of each node: those of one parent are at one start plus their bytes.

    Nodes of many children come first, from the first place that fits. A place that was searched in
    vain is not searched again for as many children, so the time grows with the number of nodes.
    What they leave free goes to the children of nodes that have only one.
    """
    slots = np.zeros(len(children), "int64")
    # More than is ever used; untouched ones take no memory.
    free = np.ones(4 * SEARCH_WIDTH + 256 * (2 + len(children)), bool)
    free[0] = False
    several = sorted((n for n in children if len(n) > 1), key=len, reverse=True)
    start = count = 0
    for nodes in several:
        if len(nodes) != count:
            start, count = 0, len(nodes)
        while True:
            fits = np.ones(SEARCH_WIDTH, bool)
            for byte in nodes:
                fits &= free[start + byte : start + byte + SEARCH_WIDTH]
            first = int(fits.argmax())
            if fits[first]:
                break
            start += SEARCH_WIDTH
        for byte, node in nodes.items():
            slots[node] = start + first + byte
            free[start + first + byte] = False
    single = [pair for nodes in children if len(nodes) == 1 for pair in nodes.items()]
    places = 256 + np.flatnonzero(free[256 : 256 + len(children)])  # so that no start is negative
    for (_, node), place in zip(single, places.tolist(), strict=False):
        slots[node] = place
    return slots
