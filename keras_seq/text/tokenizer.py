"""The base of the tokenizers: bytes to ids and back, in Python and inside a graph."""

import numbers
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from keras import ops

from keras_seq.checking import check_arguments
from keras_seq.errors import UserError, describe
from keras_seq.text.joining import PieceTables, join_pieces
from keras_seq.text.tables import take
from keras_seq.text.utf8 import list_texts, to_bytes
from keras_seq.typing import Tensor

PADDING, UNKNOWN, BEGINNING, END, FIRST_BYTE = range(5)
FIRST_PIECE = FIRST_BYTE + 256
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")


class Tokenizer:
    """Base of the tokenizers. Token ids join to exactly the bytes they were made of.

    Ids: 0 padding, 1 unknown (never produced), 2 beginning, 3 end of a text, 4 to 259 the bytes,
    then pieces. No text is out of vocabulary, and no normalisation changes it: the pieces of a
    text, joined, are the text.

    Attributes:
        vocabulary_size: Number of ids.
        fingerprint: A hash that is equal for tokenizers with equal ids.
        max_bytes_per_token: An upper bound of the average bytes per token in any language.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vocabulary_size:,} ids)"

    vocabulary_size: int
    fingerprint: str
    max_bytes_per_token: int = 8

    def pieces(self) -> list[bytes]:
        """Returns the bytes that each id stands for; none for special ids."""
        raise NotImplementedError

    def encode(self, texts: Iterable[str | bytes]) -> list[list[int]]:
        """Returns the token ids of each text. Lone surrogates become "?"."""
        raise NotImplementedError

    def sample(self, texts: Iterable[str | bytes], alpha: float, seed: int) -> list[list[int]]:
        """Returns token ids of each text, segmented at random (Kudo 2018).

        Args:
            texts: The texts.
            alpha: Exponent of a segmentation's probability: near 0 all segmentations are equally
                likely, at 1 the best one is nearly always sampled.
            seed: Random seed: the same texts and seed give the same ids.
        """
        raise NotImplementedError

    @check_arguments
    def decode(self, token_ids: Iterable[Sequence[int]]) -> list[str]:
        """Returns the text of each row of ids. Bytes that are not UTF-8 become U+FFFD."""
        return [text.decode("utf-8", "replace") for text in self.decode_bytes(token_ids)]

    @check_arguments
    def decode_bytes(self, token_ids: Iterable[Sequence[int]]) -> list[bytes]:
        """Returns the bytes of each row of ids: the exact inverse of `encode`.

        Raises:
            UserError: If an id is not one of the tokenizer's.
        """
        rows = [*token_ids]
        if not all(isinstance(row, Iterable) for row in rows):
            raise UserError(f"token_ids are rows of ids, [[5, 7]]. Received: {describe(token_ids)}")
        rows = [[*row] for row in rows]
        for i in (i for row in rows for i in row):
            if not isinstance(i, numbers.Integral) or not 0 <= i < self.vocabulary_size:
                raise UserError(f"Token ids are 0 to {self.vocabulary_size - 1}. Received: {i!r}")
        return [b"".join(self._pieces[int(i)] for i in row) for row in rows]

    @cached_property
    def _pieces(self) -> list[bytes]:
        return self.pieces()

    def to_tensor(self, texts: Tensor, max_length: int) -> Tensor:
        """Maps a string tensor `(B,)` to int32 ids `(B, max_length)`, inside `tf.data`."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Returns the tokenizer in the Hugging Face `tokenizers` format, a `tokenizer.json`."""
        raise NotImplementedError

    def token_ids(self, text: Tensor, length: Tensor, max_length: int) -> Tensor:
        """Maps texts to ids inside a graph, by integer operations that every runtime has.

        Args:
            text: `(B, L)` uint8.
            length: `(B,)` int32, the number of bytes of each text.
            max_length: Largest number of ids of a text.

        Returns:
            `(B, T)` int32, padded with 0. T is the smaller of `max_length` and L where L is known,
            else of `max_length` and the ids of the longest text.
        """
        raise NotImplementedError

    def unread(self, token_ids: Tensor, length: Tensor) -> Tensor:
        """Counts, inside a graph, the bytes of each text that are in none of its tokens.

        Args:
            token_ids: `(B, T)` int32, the tokens of each text.
            length: `(B,)` int32, the bytes of each text.

        Returns:
            `(B,)` int32.
        """
        return length - self.ends(token_ids)[:, -1]

    def ends(self, token_ids: Tensor) -> Tensor:
        """Returns, inside a graph, the byte at which each token `(B, T)` ends: `(B, T)` int32."""
        return ops.cumsum(take(self._piece_tables.lengths, token_ids), axis=1)

    @property
    def table_bytes(self) -> int:
        """Size in bytes of the tables that `token_ids` adds to a file."""
        return 0

    def text(self, token_ids: Tensor, max_bytes: int | None = None) -> tuple[Tensor, Tensor]:
        """Maps ids `(B, T)` to texts inside a graph: the inverse of `token_ids`.

        Args:
            token_ids: `(B, T)` int32.
            max_bytes: L; by default as many as T ids may need.

        Returns:
            `(B, L)` uint8, padded with 0, and lengths `(B,)` int32. A longer text is cut between
            characters.
        """
        return join_pieces(self._piece_tables, token_ids, max_bytes)

    @cached_property
    def _piece_tables(self) -> PieceTables:
        return PieceTables.build(self._pieces)


def byte_pieces() -> list[bytes]:
    """Returns the bytes that the special ids and the byte ids stand for."""
    return [b""] * FIRST_BYTE + [bytes([i]) for i in range(256)]


def encode_utf8(texts: Any) -> list[bytes]:
    """Encodes texts in UTF-8; see `keras_seq.text.utf8.list_texts`."""
    return [to_bytes(text) for text in list_texts(texts)]
