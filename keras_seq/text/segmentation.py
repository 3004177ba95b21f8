"""A unigram tokenizer as a tensor program: UTF-8 bytes in, token ids out, integers all the way.

The segmentation of a text is the one with the highest sum of scores (Kudo 2018, "Subword
Regularization"). Scores are integers here, so every runtime adds them alike and finds the same ids.
Among segmentations that tie, the one whose last piece begins earlier wins, as in SentencePiece.

The text is read as bytes, since a piece in UTF-8 always begins and ends with a character. There are
four steps, of which only the third walks along the text:

1. The pieces that end at each byte: a walk down a trie of the reversed pieces, from all bytes at
   once, one byte further back at a time.
2. Cuts: positions that no piece of step 1 spans. Every segmentation passes through them, so the
   text between two cuts is independent of the rest. The text is divided at cuts into `CHUNKS` parts
   of about the same length.
3. Viterbi's recursion along all chunks at once: best(e) = max over pieces p that end at e of
   best(e - |p|) + score(p). As long as there are cuts, a text of L bytes takes about L / CHUNKS
   turns and not L.
4. The pieces of the best segmentation: from each cut back along the pieces, by pointer jumping.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_seq.text.tables import compact, narrow, take
from keras_seq.text.trie import Trie
from keras_seq.typing import Tensor

CHUNKS = 32
STEPS_PER_TURN = 8  # A runtime pays for every turn of a loop.
NEVER = -(1 << 29)  # Low enough to lose, high enough to be added to.


@dataclass(frozen=True)
class UnigramTables:
    """The tables of the program.

    Attributes:
        trie: Trie of the reversed pieces, with their ids as values.
        scores: `(vocabulary,)` integers.
        byte_score: Score of a single byte, lower than that of any piece.
        first_byte: Id of the byte 0; the other bytes follow.
    """

    trie: Trie
    scores: np.ndarray
    byte_score: int
    first_byte: int

    @classmethod
    def build(cls, pieces: dict[int, tuple[bytes, int]], first_byte: int) -> "UnigramTables":
        """Builds the tables of `pieces`, `{id: (bytes, score)}`.

        Raises:
            ValueError: If a piece is empty or holds the byte 0, or a character of a piece is not a
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
        trie = Trie.build({piece[::-1]: i for i, (piece, _) in pieces.items()})
        return cls(trie, narrow(scores), int(scores.min(initial=0)) - 1, first_byte)

    @property
    def nbytes(self) -> int:
        """Size of all tables."""
        trie = self.trie
        return sum(x.nbytes for x in (trie.base, trie.parent, trie.value, self.scores))


def token_ids(tables: UnigramTables, text: Tensor, length: Tensor, max_length: int) -> Tensor:
    """Segments texts.

    Args:
        tables: The tables of the vocabulary.
        text: `(B, L)` uint8.
        length: `(B,)` int32, the number of bytes of each text.
        max_length: Largest number of ids of a text.

    Returns:
        `(B, T)` int32; see `Tokenizer.token_ids`.
    """
    depth = max(tables.trie.longest, 1)
    length = ops.minimum(length, ops.shape(text)[1])
    x = _to_codes(text, length)  # (B, n); n divides by CHUNKS
    rows, n = ops.shape(x)[0], ops.shape(x)[1]
    slots = _match_pieces(tables.trie, x, depth)  # (B, n, D): the longest first
    ids = take(tables.trie.value, slots)
    is_piece = ids >= 0
    alone = np.full(depth, NEVER, "int32")
    alone[-1] = tables.byte_score
    scores = ops.where(is_piece, take(tables.scores, ops.maximum(ids, 0)), alone)

    lengths = ops.max(ops.where(is_piece, np.arange(depth, 0, -1, dtype="int32"), 1), axis=2)
    is_cut = _find_cuts(lengths, depth)  # (B, n): before each byte
    start, steps = _divide(is_cut)  # (B, CHUNKS), ()
    choices = _select_pieces(scores, start, steps)

    # For each byte: its chunk, and the choice of the piece that ends with it.
    j = ops.arange(n, dtype="int32")[None, :]
    chunk = ops.sum(ops.cast(start[:, :, None] <= j[:, None, :], "int32"), axis=1) - 1
    chunk = chunk + CHUNKS * ops.arange(rows, dtype="int32")[:, None]  # (B, n) of all chunks
    step = j - take(ops.reshape(start, (-1,)), chunk)
    position = (step // STEPS_PER_TURN) * (rows * CHUNKS) + chunk
    choice = take(choices, position * STEPS_PER_TURN + step % STEPS_PER_TURN)  # (B, n)

    ends = _trace_back(depth - choice, is_cut, length, steps)  # (B, n)
    flat = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * n + j
    selected = take(ops.reshape(ids, (-1,)), flat * depth + choice)
    selected = ops.where(selected >= 0, selected, x + tables.first_byte)
    size = ops.shape(text)[1]
    if isinstance(size, int):
        width: Any = min(max_length, size)
    else:
        most = ops.max(ops.sum(ops.cast(ends, "int32"), axis=1))
        width = ops.minimum(max_length, ops.maximum(most, 1))
    return compact(selected, ends, width)


def _to_codes(text: Tensor, length: Tensor) -> Tensor:
    """Returns the bytes as int32, 0 behind each text, in a width that divides by CHUNKS."""
    size = ops.shape(text)[1]
    x = ops.cast(text, "int32")
    x = ops.where(ops.arange(size, dtype="int32")[None, :] < length[:, None], x, 0)
    # No runtime agrees with another on the remainder of a negative number.
    return _pad(x, 0, (size + CHUNKS - 1) // CHUNKS * CHUNKS - size, 0)


def _match_pieces(trie: Trie, x: Tensor, depth: int) -> Tensor:
    """Returns the trie slots `(B, n, depth)` of the pieces that end at each byte.

    Along the third axis the first piece has `depth` bytes, the last one byte.
    """
    n = ops.shape(x)[1]
    before = _pad(x, depth - 1, 0, 0)
    # Converted once: a graph holds a constant as often as it is converted.
    base, parent = ops.convert_to_tensor(trie.base), ops.convert_to_tensor(trie.parent)
    slot = ops.zeros_like(x)
    slots = []
    for d in range(depth):
        child = take(base, slot) + before[:, depth - 1 - d : depth - 1 - d + n]
        slot = ops.where(take(parent, child) == slot, child, trie.nowhere)
        slots.insert(0, slot)
    return ops.stack(slots, axis=2)


def _find_cuts(lengths: Tensor, depth: int) -> Tensor:
    """Returns whether every segmentation has a boundary before each byte: `(B, n)`.

    `lengths` are those of the longest piece that ends with each byte. There is a cut before byte c
    if every piece that ends at c or later begins there or later.
    """
    n = ops.shape(lengths)[1]
    position = ops.arange(n, dtype="int32")[None, :]
    begin = position + 1 - lengths
    width = 1
    while width < depth:  # The least of what ends within `width` bytes from here.
        begin = ops.minimum(begin, _pad(begin, 0, width, 1 << 29)[:, width:])
        width *= 2
    return begin >= position


def _divide(is_cut: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the start of each chunk, at a cut, `(B, CHUNKS)`, and the longest length, `()`."""
    n = ops.shape(is_cut)[1]
    position = ops.where(is_cut, ops.arange(n, dtype="int32")[None, :], 0)
    last = ops.max(ops.reshape(position, (-1, CHUNKS, n // CHUNKS)), axis=2)
    earlier = np.tril(np.ones((CHUNKS, CHUNKS), "int32"), -1)
    start = ops.max(last[:, None, :] * earlier, axis=2)
    end = ops.concatenate([start[:, 1:], ops.zeros_like(start[:, :1]) + n], axis=1)
    return start, ops.max(end - start)


def _select_pieces(scores: Tensor, start: Tensor, steps: Tensor) -> Tensor:
    """Returns which piece of `scores`, `(B, n, D)`, is best at each step of each chunk.

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
    # Any content will do, since only what is written is read; a constant would be in the file.
    choices = ops.broadcast_to(steps, (turns * chunks * STEPS_PER_TURN,))

    def turn(i: Tensor, sums: Tensor, choices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        position = ops.minimum(first + (step + i * STEPS_PER_TURN), last)
        of_steps = take(scores, position)  # (chunks, STEPS_PER_TURN, D)
        candidates = []
        for k in range(STEPS_PER_TURN):
            candidates.append(sums + of_steps[:, k])
            best = ops.max(candidates[-1], axis=1, keepdims=True)
            sums = ops.concatenate([sums[:, 1:], best], axis=1)
        # The first of a tie: the longest piece, which begins earliest.
        choice = ops.cast(ops.argmax(ops.stack(candidates, axis=1), axis=2), "int32")
        position = i * (chunks * STEPS_PER_TURN)
        choices = ops.slice_update(choices, (position,), ops.reshape(choice, (-1,)))
        return i + 1, sums, choices

    _, _, choices = ops.while_loop(
        lambda i, *_: i * STEPS_PER_TURN < steps, turn, (ops.zeros((), "int32"), sums, choices)
    )
    return choices


def _trace_back(lengths: Tensor, is_cut: Tensor, length: Tensor, steps: Tensor) -> Tensor:
    """Returns whether a piece of the best segmentation ends with each byte, `(B, n)`.

    Every round of pointer jumping doubles how far back from a cut the segmentation is known.
    """
    rows, n = ops.shape(lengths)[0], ops.shape(lengths)[1]
    position = ops.arange(n + 1, dtype="int32")[None, :]
    end = length[:, None]
    known = ops.cast((_pad(is_cut, 0, 1, False) & (position < end)) | (position == end), "int32")
    offset = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * (n + 1)
    back = offset + ops.maximum(position - _pad(lengths, 1, 0, 0), 0)
    known, back = ops.reshape(known, (-1,)), ops.reshape(back, (-1,))
    outside = rows * (n + 1)

    def jump(far: Tensor, known: Tensor, back: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reached = ops.where(known > 0, back, outside)
        # Runtimes differ in whether a place that is reached twice counts twice.
        marks = ops.scatter(reached[:, None], ops.ones_like(reached), (outside + 1,))
        return far * 2, ops.maximum(known, marks[:-1]), take(back, back)

    _, known, _ = ops.while_loop(
        lambda far, *_: far < steps, jump, (ops.ones((), "int32"), known, back)
    )
    return ops.reshape(known, (-1, n + 1))[:, 1:] > 0


def _pad(x: Tensor, before: int | Tensor, after: int | Tensor, value: Any) -> Tensor:
    return ops.pad(x, ((0, 0), (before, after)), constant_values=value)
