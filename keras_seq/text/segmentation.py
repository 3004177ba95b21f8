"""A unigram tokenizer as a tensor program: UTF-8 bytes in, token ids out, integers all the way.

Kudo (2018), "Subword Regularization": of all ways to cut a text into pieces, the one with the
highest sum of scores. Scores are integers here, so every runtime adds them alike and finds the same
ids; of ways that tie, the one whose last piece begins earlier is taken, as SentencePiece does.

The text is read as bytes, since a piece found in UTF-8 always begins and ends with a character.
Four steps, of which only the third walks along the text:

1. The pieces that end at each byte: a walk down a trie of the reversed pieces, from all bytes at
   once, one byte further back at a time.
2. Cuts: places that no piece found in step 1 spans. Every way to cut the text passes through them,
   so what lies between two cuts is independent of the rest. The text is divided at cuts into
   `CHUNKS` parts of about the same length.
3. Viterbi's recursion along all chunks at once: best(e) = max over pieces p that end at e of
   best(e - |p|) + score(p). As long as there are cuts, a text of L bytes takes some L / CHUNKS
   turns and not L.
4. The pieces on the best way: from each cut back along the pieces, by pointer jumping.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_seq.text.tables import compacted, small, take
from keras_seq.text.trie import Trie
from keras_seq.typing import Tensor

CHUNKS = 32
STEPS_PER_TURN = 8  # A runtime pays for every turn of a loop.
NEVER = -(1 << 29)  # Low enough to lose, high enough to be added to.


@dataclass(frozen=True)
class UnigramTables:
    """What the program looks up.

    Attributes:
        trie: Of the reversed pieces; their ids.
        scores: `(vocabulary,)` integers.
        byte_score: Of a byte on its own, lower than that of any piece.
        first_byte: Id of the byte 0; those of the others follow.
    """

    trie: Trie
    scores: np.ndarray
    byte_score: int
    first_byte: int

    @classmethod
    def of(cls, pieces: dict[int, tuple[bytes, int]], first_byte: int) -> "UnigramTables":
        """The tables of `pieces`, `{id: (bytes, score)}`.

        Raises:
            ValueError: If a piece is empty or holds the byte 0, or a character of a piece is no
                piece itself: bytes would then compete with pieces.
        """
        known = {piece for piece, _ in pieces.values()}
        for piece, _ in pieces.values():
            missing = {char for char in piece.decode() if char.encode() not in known}
            if not piece or 0 in piece or missing:
                raise ValueError(f"The piece {piece!r} cannot be read: {missing or 'not a text'}")
        scores = np.zeros(max(pieces, default=0) + 1, "int64")
        for i, (_, score) in pieces.items():
            scores[i] = score
        trie = Trie.of({piece[::-1]: i for i, (piece, _) in pieces.items()})
        return cls(trie, small(scores), int(scores.min(initial=0)) - 1, first_byte)

    @property
    def nbytes(self) -> int:
        """Of all tables."""
        trie = self.trie
        return sum(x.nbytes for x in (trie.base, trie.parent, trie.value, self.scores))


def token_ids(tables: UnigramTables, text: Tensor, length: Tensor, max_length: int) -> Tensor:
    """Segments texts.

    Args:
        tables: Of the vocabulary.
        text: `(B, L)` uint8.
        length: `(B,)` int32, how many bytes of each row are its text.
        max_length: Ids kept of a text.

    Returns:
        `(B, T)` int32 as of `Tokenizer.token_ids`.
    """
    depth = max(tables.trie.longest, 1)
    length = ops.minimum(length, ops.shape(text)[1])
    x = _bytes(text, length)  # (B, n); n divides by CHUNKS
    rows, n = ops.shape(x)[0], ops.shape(x)[1]
    slots = _found(tables.trie, x, depth)  # (B, n, D): the longest first
    ids = take(tables.trie.value, slots)
    is_piece = ids >= 0
    alone = np.full(depth, NEVER, "int32")
    alone[-1] = tables.byte_score
    scores = ops.where(is_piece, take(tables.scores, ops.maximum(ids, 0)), alone)

    lengths = ops.max(ops.where(is_piece, np.arange(depth, 0, -1, dtype="int32"), 1), axis=2)
    is_cut = _cuts(lengths, depth)  # (B, n): before each byte
    start, steps = _chunks(is_cut)  # (B, CHUNKS), ()
    choices = _viterbi(scores, start, steps)

    # Of each byte: the chunk it lies in, and what was chosen for the piece that ends with it.
    j = ops.arange(n, dtype="int32")[None, :]
    chunk = ops.sum(ops.cast(start[:, :, None] <= j[:, None, :], "int32"), axis=1) - 1
    chunk = chunk + CHUNKS * ops.arange(rows, dtype="int32")[:, None]  # (B, n) of all chunks
    step = j - take(ops.reshape(start, (-1,)), chunk)
    place = (step // STEPS_PER_TURN) * (rows * CHUNKS) + chunk
    choice = take(choices, place * STEPS_PER_TURN + step % STEPS_PER_TURN)  # (B, n)

    ends = _on_the_way(depth - choice, is_cut, length, steps)  # (B, n)
    flat = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * n + j
    chosen = take(ops.reshape(ids, (-1,)), flat * depth + choice)
    chosen = ops.where(chosen >= 0, chosen, x + tables.first_byte)
    size = ops.shape(text)[1]
    if isinstance(size, int):
        width: Any = min(max_length, size)
    else:
        most = ops.max(ops.sum(ops.cast(ends, "int32"), axis=1))
        width = ops.minimum(max_length, ops.maximum(most, 1))
    return compacted(chosen, ends, width)


def _bytes(text: Tensor, length: Tensor) -> Tensor:
    """The bytes as int32, 0 after the end of each text, in a width that divides by CHUNKS."""
    size = ops.shape(text)[1]
    x = ops.cast(text, "int32")
    x = ops.where(ops.arange(size, dtype="int32")[None, :] < length[:, None], x, 0)
    # No runtime agrees with another on the remainder of a negative number.
    return _padded(x, 0, (size + CHUNKS - 1) // CHUNKS * CHUNKS - size, 0)


def _found(trie: Trie, x: Tensor, depth: int) -> Tensor:
    """Slots of the trie: `(B, n, depth)`, where each piece ends that the bytes up to here spell.

    The last along the third axis is of one byte, the first of `depth`.
    """
    n = ops.shape(x)[1]
    before = _padded(x, depth - 1, 0, 0)
    # Made tensors once: a graph holds what is converted at each use as often as it is used.
    base, parent = ops.convert_to_tensor(trie.base), ops.convert_to_tensor(trie.parent)
    slot = ops.zeros_like(x)
    slots = []
    for d in range(depth):
        child = take(base, slot) + before[:, depth - 1 - d : depth - 1 - d + n]
        slot = ops.where(take(parent, child) == slot, child, trie.nowhere)
        slots.insert(0, slot)
    return ops.stack(slots, axis=2)


def _cuts(lengths: Tensor, depth: int) -> Tensor:
    """Whether a way can be cut before each byte, whatever it is: `(B, n)`.

    `lengths` are those of the longest piece that ends with each byte. Before byte c is a cut if
    every piece that ends at c or later begins there or later.
    """
    n = ops.shape(lengths)[1]
    place = ops.arange(n, dtype="int32")[None, :]
    begin = place + 1 - lengths
    width = 1
    while width < depth:  # The least of what ends within `width` bytes from here.
        begin = ops.minimum(begin, _padded(begin, 0, width, 1 << 29)[:, width:])
        width *= 2
    return begin >= place


def _chunks(is_cut: Tensor) -> tuple[Tensor, Tensor]:
    """Where each chunk starts, at a cut, `(B, CHUNKS)`; and the length of the longest, `()`."""
    n = ops.shape(is_cut)[1]
    place = ops.where(is_cut, ops.arange(n, dtype="int32")[None, :], 0)
    last = ops.max(ops.reshape(place, (-1, CHUNKS, n // CHUNKS)), axis=2)
    earlier = np.tril(np.ones((CHUNKS, CHUNKS), "int32"), -1)
    start = ops.max(last[:, None, :] * earlier, axis=2)
    end = ops.concatenate([start[:, 1:], ops.zeros_like(start[:, :1]) + n], axis=1)
    return start, ops.max(end - start)


def _viterbi(scores: Tensor, start: Tensor, steps: Tensor) -> Tensor:
    """Which piece of `scores`, `(B, n, D)`, is best at each step of each chunk.

    Returns:
        Indices along D, in one row: those of `STEPS_PER_TURN` steps of each chunk of each text,
        and so for each turn.
    """
    rows, n, depth = ops.shape(scores)[0], ops.shape(scores)[1], scores.shape[2]
    chunks = rows * CHUNKS
    scores = ops.reshape(scores, (-1, depth))
    first = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * n
    first, last = (ops.reshape(x, (-1, 1)) for x in (start + first, start * 0 + first + n - 1))
    step = np.arange(STEPS_PER_TURN, dtype="int32")[None, :]
    # The best sums up to the `depth` places before a step; at first, up to the chunk's start.
    sums = np.full((1, depth), NEVER, "int32")
    sums[0, -1] = 0
    sums = ops.zeros_like(first) + sums
    turns = (n + STEPS_PER_TURN - 1) // STEPS_PER_TURN
    # Of any content, since what is not written is not read; a constant would be in the file.
    choices = ops.broadcast_to(steps, (turns * chunks * STEPS_PER_TURN,))

    def turn(i: Tensor, sums: Tensor, choices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        place = ops.minimum(first + (step + i * STEPS_PER_TURN), last)
        of_steps = take(scores, place)  # (chunks, STEPS_PER_TURN, D)
        candidates = []
        for k in range(STEPS_PER_TURN):
            candidates.append(sums + of_steps[:, k])
            best = ops.max(candidates[-1], axis=1, keepdims=True)
            sums = ops.concatenate([sums[:, 1:], best], axis=1)
        # The first of those that tie: the longest, which begins earliest.
        choice = ops.cast(ops.argmax(ops.stack(candidates, axis=1), axis=2), "int32")
        place = i * (chunks * STEPS_PER_TURN)
        choices = ops.slice_update(choices, (place,), ops.reshape(choice, (-1,)))
        return i + 1, sums, choices

    _, _, choices = ops.while_loop(
        lambda i, *_: i * STEPS_PER_TURN < steps, turn, (ops.zeros((), "int32"), sums, choices)
    )
    return choices


def _on_the_way(lengths: Tensor, is_cut: Tensor, length: Tensor, steps: Tensor) -> Tensor:
    """Whether a piece of the best way ends with each byte, `(B, n)`, given the `lengths` chosen.

    Every round of pointer jumping doubles how far back from a cut the way is known.
    """
    rows, n = ops.shape(lengths)[0], ops.shape(lengths)[1]
    place = ops.arange(n + 1, dtype="int32")[None, :]
    end = length[:, None]
    known = ops.cast((_padded(is_cut, 0, 1, False) & (place < end)) | (place == end), "int32")
    offset = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * (n + 1)
    back = offset + ops.maximum(place - _padded(lengths, 1, 0, 0), 0)
    known, back = ops.reshape(known, (-1,)), ops.reshape(back, (-1,))
    outside = rows * (n + 1)

    def jump(far: Tensor, known: Tensor, back: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reached = ops.where(known > 0, back, outside)
        # What is reached twice is counted twice, or once, as a runtime likes.
        marks = ops.scatter(reached[:, None], ops.ones_like(reached), (outside + 1,))
        return far * 2, ops.maximum(known, marks[:-1]), take(back, back)

    _, known, _ = ops.while_loop(
        lambda far, *_: far < steps, jump, (ops.ones((), "int32"), known, back)
    )
    return ops.reshape(known, (-1, n + 1))[:, 1:] > 0


def _padded(x: Tensor, before: int | Tensor, after: int | Tensor, value: Any) -> Tensor:
    return ops.pad(x, ((0, 0), (before, after)), constant_values=value)
