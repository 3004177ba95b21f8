"""A set of byte strings as a double-array trie: two integer tables that any runtime can walk."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

NONE = -1


@dataclass(frozen=True)
class Trie:
    """A double-array trie (Aoe 1989). The root is slot 0.

    The child of slot `s` by byte `b` is slot `t = base[s] + b`, if `parent[t] == s`.

    Attributes:
        base: `(slots,)` int32.
        parent: `(slots,)` int32; -1 where a slot is empty.
        value: `(slots,)` int32: of the key that ends there, else -1.
        longest: Bytes of the longest key.
    """

    base: np.ndarray
    parent: np.ndarray
    value: np.ndarray
    longest: int

    @classmethod
    def of(cls, values: Mapping[bytes, int]) -> "Trie":
        """The trie of the keys of `values`, whose values are 0 or more."""
        tree: dict = {}
        for key, value in values.items():
            node = tree
            for byte in key:
                node = node.setdefault(byte, {})
            node[NONE] = value
        base, parent, value = [0], [0], [tree.pop(NONE, NONE)]
        free, pending = 1, [(0, tree)]
        while pending:
            slot, children = pending.pop()
            if not children:
                continue
            bytes_ = sorted(children)
            # The first place where every child finds an empty slot.
            while free < len(parent) and parent[free] != NONE:
                free += 1
            start = free - bytes_[0]
            while True:
                if start + bytes_[0] >= 1 and all(
                    start + byte >= len(parent) or parent[start + byte] == NONE for byte in bytes_
                ):
                    break
                start += 1
            missing = start + bytes_[-1] + 1 - len(parent)
            if missing > 0:
                base += [0] * missing
                parent += [NONE] * missing
                value += [NONE] * missing
            base[slot] = start
            for byte in bytes_:
                child = children[byte]
                parent[start + byte] = slot
                value[start + byte] = child.pop(NONE, NONE)
                pending.append((start + byte, child))
        # So that no walk leaves the tables, whatever byte comes.
        tail = 256
        return cls(
            np.array(base + [0] * tail, "int32"),
            np.array(parent + [NONE] * tail, "int32"),
            np.array(value + [NONE] * tail, "int32"),
            max(map(len, values), default=0),
        )
