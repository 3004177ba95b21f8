"""SentencePiece, trained from the data and kept inside the model."""

import base64
import hashlib
import io
import random
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import keras

from keras_seq.errors import UserError

Tensor = Any

SPACE = "\u2581"  # SentencePiece writes a space so
TRAINING_CHARACTERS = 5_000_000

# Scores are multiples of 1/256: then every engine adds them without rounding, and two ways to cut
# a text tie in all of them or in none, as long as a sum fits the 24 bits of a float: up to some
# 9,000 pieces, far beyond what a model reads of a text. (Unrounded, tensorflow-text's older
# SentencePiece cut 45 of 3,000 reviews otherwise than the library does.)
SCORE_GRID = 256

# The characters that spell special pieces ("<s>", "<0x41>"). With a piece for each of them,
# `tokenizers`, which matches special pieces against the text, never finds one the better way.
REQUIRED_CHARACTERS = "<>/0123456789ABCDEFxpadunks"


@keras.saving.register_keras_serializable("keras_seq")
class SentencePieceTokenizer:
    """A SentencePiece unigram model (Kudo 2018) with byte fallback: no text is out of vocabulary.

    Ids: 0 padding, 1 unknown (never produced), 2 beginning, 3 end of a text. Text is taken as it
    is: no normalisation, spaces kept.

    Args:
        model: A serialised SentencePiece model.
    """

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise UserError(f"This is not a SentencePiece model: {error}") from error

    @classmethod
    def train(
        cls, texts: Sequence[str], vocabulary_size: int = 8000, seed: int = 0
    ) -> "SentencePieceTokenizer":
        """Learns a vocabulary.

        Args:
            texts: Training texts; of a large corpus a sample of about five million characters.
            vocabulary_size: At most this many pieces, the 256 bytes and 4 special ids included.
                A small corpus gets fewer.
            seed: Of the sample.

        Raises:
            UserError: If there is no text, or `vocabulary_size` cannot hold its characters.
        """
        import sentencepiece

        sample = _sample(texts, TRAINING_CHARACTERS, seed)
        if not sample:
            raise UserError("A tokenizer is trained from texts, and every text given is empty.")
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=iter(sample),
                model_writer=model,
                model_type="unigram",
                vocab_size=vocabulary_size,
                hard_vocab_limit=False,
                byte_fallback=True,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                allow_whitespace_only_pieces=True,
                max_sentence_length=1 << 24,
                pad_id=0,
                unk_id=1,
                bos_id=2,
                eos_id=3,
                required_chars=REQUIRED_CHARACTERS,
                num_threads=2,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UserError(
                f"SentencePiece cannot learn {vocabulary_size} pieces from these {len(sample)} "
                f"texts: {error}. Try another vocabulary size, or more text."
            ) from error
        return cls(_on_grid(model.getvalue()))

    @cached_property
    def vocabulary_size(self) -> int:
        """Number of ids."""
        return self._processor.GetPieceSize()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model: equal for tokenizers that give equal ids."""
        return hashlib.sha256(self.model).hexdigest()

    def encode(self, texts: Iterable[str]) -> list[list[int]]:
        """Token ids of each text."""
        return self._processor.EncodeAsIds([to_unicode(text) for text in texts])

    def decode(self, token_ids: Iterable[Sequence[int]]) -> list[str]:
        """The texts that ids stand for; padding is left out."""
        rows = [[int(i) for i in row if i] for row in token_ids]
        return [self._processor.DecodeIds(row) for row in rows]

    def to_tensor(self, texts: Tensor, max_length: int) -> Tensor:
        """Inside `tf.data`: string tensor `(B,)` to int32 ids `(B, max_length)`, cut and padded."""
        import tensorflow as tf
        import tensorflow_text

        # Made where it is used: tensorflow-text drops its tables with the graph that made them.
        engine = tensorflow_text.SentencepieceTokenizer(self.model, out_type=tf.int32)
        rows = engine.tokenize(texts)[:, :max_length].to_tensor(shape=(None, max_length))
        return tf.ensure_shape(rows, (None, max_length))

    def to_json(self) -> str:
        """The same tokenizer in the Hugging Face `tokenizers` format, a `tokenizer.json`."""
        from tokenizers import Tokenizer, decoders, models, normalizers

        vocabulary = [
            (self._processor.IdToPiece(i), self._score(i)) for i in range(self.vocabulary_size)
        ]
        tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=1, byte_fallback=True))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
        )
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace(SPACE, " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        return tokenizer.to_str()

    def _score(self, i: int) -> float:
        # See REQUIRED_CHARACTERS: below whatever the characters of a special piece score together.
        special = self._processor.IsControl(i) or self._processor.IsByte(i)
        return -1e6 if special or self._processor.IsUnknown(i) else self._processor.GetScore(i)

    def get_config(self) -> dict[str, Any]:
        return {"model": base64.b64encode(zlib.compress(self.model, 9)).decode("ascii")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SentencePieceTokenizer":
        return cls(zlib.decompress(base64.b64decode(config["model"])))


def _on_grid(model: bytes) -> bytes:
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    for piece in proto.pieces:
        piece.score = round(piece.score * SCORE_GRID) / SCORE_GRID
    return proto.SerializeToString()


def to_unicode(text: str) -> str:
    """`text` without lone surrogates, which are no characters: each becomes "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _sample(texts: Sequence[str], characters: int, seed: int) -> list[str]:
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    sample = []
    for i in order:
        text = to_unicode(texts[i]).replace("\0", "").strip()
        if text:
            sample.append(text[:characters])
            characters -= len(text)
        if characters <= 0:
            break
    return sample
