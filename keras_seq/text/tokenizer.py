"""What a tokenizer is: bytes to ids and back, in Python and inside a graph."""

from collections.abc import Iterable, Sequence
from functools import cached_property

from keras import ops

from keras_seq.text.joining import PieceTables, joined
from keras_seq.text.tables import take
from keras_seq.text.utf8 import to_bytes
from keras_seq.typing import Tensor

PADDING, UNKNOWN, BEGINNING, END, FIRST_BYTE = range(5)
FIRST_PIECE = FIRST_BYTE + 256
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")


class Tokenizer:
    """Base of the tokenizers. Token ids join to the very bytes they were made of.

    Ids: 0 padding, 1 unknown (never produced), 2 beginning, 3 end of a text, 4 to 259 the bytes,
    then pieces. No text is out of vocabulary, and no normalisation changes it: the pieces of a
    text, one after another, are the text.

    Attributes:
        vocabulary_size: Number of ids.
        fingerprint: Equal for tokenizers that give equal ids.
        bytes_a_token: More than texts of any language have on average.
    """

    vocabulary_size: int
    fingerprint: str
    bytes_a_token: int = 8

    def pieces(self) -> list[bytes]:
        """What each id stands for; nothing, for the special ones."""
        raise NotImplementedError

    def encode(self, texts: Iterable[str | bytes]) -> list[list[int]]:
        """Token ids of each text. Lone surrogates, which are no characters, become "?"."""
        raise NotImplementedError

    def sample(self, texts: Iterable[str | bytes], alpha: float, seed: int) -> list[list[int]]:
        """Token ids of each text, cut in one of the ways it can be, drawn (Kudo 2018).

        Args:
            texts: The texts.
            alpha: A way is drawn with its probability to this power: near 0 any way is as likely
                as another, at 1 nearly always the best one is drawn.
            seed: The same texts and seed give the same ids.
        """
        raise NotImplementedError

    def decode(self, token_ids: Iterable[Sequence[int]]) -> list[str]:
        """The texts that ids stand for. What is not UTF-8 in them becomes U+FFFD."""
        return [text.decode("utf-8", "replace") for text in self.decode_bytes(token_ids)]

    def decode_bytes(self, token_ids: Iterable[Sequence[int]]) -> list[bytes]:
        """The bytes that ids stand for: the exact inverse of `encode`.

        Raises:
            ValueError: If an id is none of the tokenizer's.
        """
        rows = [list(row) for row in token_ids]
        for i in (i for row in rows for i in row):
            if int(i) != i or not 0 <= i < self.vocabulary_size:
                raise ValueError(f"Token ids are 0 to {self.vocabulary_size - 1}. Received: {i}")
        return [b"".join(self._pieces[int(i)] for i in row) for row in rows]

    @cached_property
    def _pieces(self) -> list[bytes]:
        return self.pieces()

    def to_tensor(self, texts: Tensor, max_length: int) -> Tensor:
        """Inside `tf.data`: string tensor `(B,)` to int32 ids `(B, max_length)`, cut and padded."""
        raise NotImplementedError

    def to_json(self) -> str:
        """The same tokenizer in the Hugging Face `tokenizers` format, a `tokenizer.json`."""
        raise NotImplementedError

    def token_ids(self, text: Tensor, length: Tensor, max_length: int) -> Tensor:
        """Inside a graph: texts to ids, by integer operations that every runtime has.

        Args:
            text: `(B, L)` uint8.
            length: `(B,)` int32, how many bytes of each row are its text.
            max_length: Ids kept of a text.

        Returns:
            `(B, T)` int32, padded with 0; T is the lesser of `max_length` and L where L is known,
            else of `max_length` and what the longest text takes.
        """
        raise NotImplementedError

    def unread(self, token_ids: Tensor, length: Tensor) -> Tensor:
        """Inside a graph: how many bytes of each text are in none of its tokens.

        Args:
            token_ids: `(B, T)` int32, all that were kept of a text.
            length: `(B,)` int32, its bytes.

        Returns:
            `(B,)` int32.
        """
        return length - self.ends(token_ids)[:, -1]

    def ends(self, token_ids: Tensor) -> Tensor:
        """Inside a graph: where in its text, in bytes, each token `(B, T)` ends: `(B, T)` int32."""
        return ops.cumsum(take(self._piece_tables.lengths, token_ids), axis=1)

    @property
    def table_bytes(self) -> int:
        """What `token_ids` looks up, in bytes: what it adds to a file, but for its operators."""
        return 0

    def text(self, token_ids: Tensor, max_bytes: int | None = None) -> tuple[Tensor, Tensor]:
        """Inside a graph: ids `(B, T)` to texts, the inverse of `token_ids`.

        Args:
            token_ids: `(B, T)` int32.
            max_bytes: L; by default as much as T ids may need.

        Returns:
            `(B, L)` uint8, padded with 0, and lengths `(B,)` int32. A longer text is cut, between
            characters.
        """
        return joined(self._piece_tables, token_ids, max_bytes)

    @cached_property
    def _piece_tables(self) -> PieceTables:
        return PieceTables.of(self._pieces)


def byte_pieces() -> list[bytes]:
    """What the special ids and the bytes stand for."""
    return [b""] * FIRST_BYTE + [bytes([i]) for i in range(256)]


def in_utf8(texts: Iterable[str | bytes]) -> list[bytes]:
    """Texts as bytes.

    Raises:
        TypeError: If `texts` is one string or no list, or something in it is no text.
    """
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"Give a list of texts. Received one: {texts[:40]!r}")
    if not isinstance(texts, Iterable):
        raise TypeError(f"Give a list of texts. Received: {texts!r}")
    texts = list(texts)
    for text in texts:
        if not isinstance(text, (str, bytes)):
            raise TypeError(f"A text is a str or bytes. Received: {type(text).__name__}")
    return [to_bytes(text) for text in texts]
