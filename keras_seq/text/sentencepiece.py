"""The SentencePiece tokenizer, trained on the data and saved inside the model."""

import base64
import hashlib
import io
import random
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import Any

import keras

from keras_seq.checking import check_arguments
from keras_seq.errors import UserError
from keras_seq.text.hugging_face import to_tokenizer_json
from keras_seq.text.segmentation import UnigramTables, token_ids
from keras_seq.text.sentencepiece_model import (
    BYTE,
    CONTROL,
    NORMAL,
    UNIGRAM,
    UNKNOWN_TYPE,
    parse_model,
)
from keras_seq.text.tokenizer import (
    BEGINNING,
    END,
    FIRST_BYTE,
    FIRST_PIECE,
    PADDING,
    SPECIAL_PIECES,
    UNKNOWN,
    Tensor,
    Tokenizer,
    byte_pieces,
    encode_utf8,
)
from keras_seq.text.utf8 import list_texts, to_bytes

# SentencePiece's symbols for a space and for unknown text while it trains.
SPACE, RESERVED = "\u2581", "\u2585"
TRAINING_CHARACTERS = 5_000_000
SPECIAL_TYPES = [CONTROL, UNKNOWN_TYPE, CONTROL, CONTROL] + [BYTE] * 256
LARGEST_MODEL = 2**26  # bytes: of a million pieces

# Never in a piece: the end of a C string, and SentencePiece's own symbols.
EXCLUDED = re.compile(f"[\0{SPACE}{RESERVED}]")

# No piece crosses a unit separator, and none has one.
BOUNDARY = "\x1f"
DIGIT = re.compile(r"\d")
BROKEN = re.compile("([\udc80-\udcff])")

# Scores are multiples of 1/16: every engine adds them without rounding, and two segmentations tie
# in all engines or in none, as long as a sum fits the 24 bits of a float: up to 100,000 pieces.
# (Unrounded, tensorflow-text's older SentencePiece segmented 45 of 3,000 reviews differently.)
SCORE_GRID = 16


@keras.saving.register_keras_serializable("keras_seq")
class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece unigram model (Kudo 2018) with byte fallback.

    Texts are not changed: no normalisation, no space added or removed. A space is a space in the
    pieces, not U+2581, so that U+2581 in a text is itself.

    Args:
        model: A serialised SentencePiece model, as `train` makes it.

    Raises:
        UserError: If it is not a SentencePiece model, or one that changes texts.
    """

    @check_arguments
    def __init__(self, model: bytes) -> None:
        import sentencepiece

        # Looked at before SentencePiece reads it, which trusts a model.
        changes = _describe_changes(model)
        if changes:
            raise UserError(
                f"This SentencePiece model was not trained by keras-seq: {changes}. Train one with "
                "SentencePieceTokenizer.train, and the model with it."
            )
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise UserError(f"This is not a SentencePiece model: {error}") from error

    @classmethod
    @check_arguments
    def train(
        cls,
        texts: Any,
        vocabulary_size: int = 8000,
        seed: int = 0,
        split_digits: bool = False,
    ) -> "SentencePieceTokenizer":
        """Learns a vocabulary.

        Args:
            texts: Texts to learn from; a large corpus is sampled, about five million characters.
            vocabulary_size: Largest number of pieces, including 256 bytes and 4 special ids. A
                small corpus gets fewer.
            seed: Random seed of the sample.
            split_digits: Make each digit a piece of its own, which helps to copy numbers.

        Raises:
            UserError: If there is no text, or `vocabulary_size` cannot hold its characters.
        """
        import sentencepiece

        if vocabulary_size <= FIRST_PIECE:
            raise UserError(
                f"vocabulary_size is {FIRST_PIECE + 1} or more: the bytes, four special ids and "
                f"the pieces. Received: {vocabulary_size}"
            )
        sample = _sample(list_texts(texts), TRAINING_CHARACTERS, seed)
        if split_digits:
            sample = [DIGIT.sub(rf"{BOUNDARY}\g<0>{BOUNDARY}", text) for text in sample]
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
                add_dummy_prefix=False,
                # SentencePiece's own `split_digits` knows ASCII digits only.
                pretokenization_delimiter=BOUNDARY if split_digits else "",
                max_sentence_length=1 << 24,
                pad_id=PADDING,
                unk_id=UNKNOWN,
                bos_id=BEGINNING,
                eos_id=END,
                num_threads=2,
                minloglevel=2,
            )
        except RuntimeError as error:
            few = re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error))
            reason = (
                f"they have so many different characters that {few[1]} pieces are the least."
                if few
                else f"{error}. Try another vocabulary size, or more text."
            )
            raise UserError(
                f"SentencePiece cannot learn {vocabulary_size} pieces from these {len(sample)} "
                f"texts: {reason}"
            ) from error
        return cls(_finish(model.getvalue()))

    @cached_property
    def vocabulary_size(self) -> int:
        return self._processor.GetPieceSize()

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.model).hexdigest()

    @property
    def _learnt(self) -> range:
        """The ids of the learnt pieces."""
        return range(FIRST_PIECE, self.vocabulary_size)

    def pieces(self) -> list[bytes]:
        return [*byte_pieces(), *(self._processor.IdToPiece(i).encode() for i in self._learnt)]

    def encode(self, texts: Iterable[str | bytes]) -> list[list[int]]:
        return _encode_valid(texts, self._processor.EncodeAsIds)

    def sample(self, texts: Iterable[str | bytes], alpha: float, seed: int) -> list[list[int]]:
        import sentencepiece

        # The seed is read by the thread that each call with one thread starts.
        sentencepiece.set_random_generator_seed(seed)
        draw = partial(self._processor.EncodeAsIds, enable_sampling=True, nbest_size=-1)
        return _encode_valid(texts, partial(draw, alpha=alpha, num_threads=1))

    def to_tensor(self, texts: Tensor, max_length: int) -> Tensor:
        import tensorflow as tf
        import tensorflow_text

        # Built where it is used: tensorflow-text drops its tables with the graph that built them.
        engine = tensorflow_text.SentencepieceTokenizer(self.model, out_type=tf.int32)
        rows = engine.tokenize(texts)[:, :max_length].to_tensor(shape=(None, max_length))
        return tf.ensure_shape(rows, (None, max_length))

    def to_json(self) -> str:
        scores = [self._processor.GetScore(i) for i in self._learnt]
        return to_tokenizer_json(self.pieces(), scores)

    def token_ids(self, text: Tensor, length: Tensor, max_length: int) -> Tensor:
        return token_ids(self._tables, text, length, max_length)

    @property
    def table_bytes(self) -> int:
        return self._tables.nbytes

    @cached_property
    def _tables(self) -> UnigramTables:
        pieces = self.pieces()
        scores = {i: round(self._processor.GetScore(i) * SCORE_GRID) for i in self._learnt}
        return UnigramTables.build({i: (pieces[i], scores[i]) for i in self._learnt}, FIRST_BYTE)

    def get_config(self) -> dict[str, Any]:
        return {"model": base64.b64encode(zlib.compress(self.model, 9)).decode("ascii")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SentencePieceTokenizer":
        try:
            packed = base64.b64decode(config["model"], validate=True)
            unpacker = zlib.decompressobj()
            model = unpacker.decompress(packed, LARGEST_MODEL)
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise UserError(
                f"The tokenizer is damaged: {error!r}. Save the model again."
            ) from error
        if not unpacker.eof:
            raise UserError(
                f"The tokenizer is cut short, or unpacks to more than {LARGEST_MODEL:,} bytes. "
                "Save the model again."
            )
        return cls(model)


def _finish(model: bytes) -> bytes:
    """Returns a trained model with scores on the grid and spaces as in texts."""
    proto = parse_model(model)
    proto.normalizer_spec.escape_whitespaces = False
    for piece in proto.pieces:
        piece.score = round(piece.score * SCORE_GRID) / SCORE_GRID
        piece.piece = piece.piece.replace(SPACE, " ")
    return proto.SerializeToString()


def _describe_changes(model: bytes) -> str:
    """Returns how a model differs from those of `train`; empty if it does not."""
    proto = parse_model(model)
    if not proto.pieces:
        raise UserError("This is not a SentencePiece model: it has no pieces.")
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    names = [*SPECIAL_PIECES, *(f"<0x{byte:02X}>" for byte in range(256))]
    learnt = [piece.piece for piece in proto.pieces[len(names) :]]
    expected = {
        "it is not a unigram model": trainer.model_type == UNIGRAM,
        "it has no byte fallback": trainer.byte_fallback,
        "its first ids are not padding, unknown, beginning, end and the bytes": (
            [piece.piece for piece in proto.pieces[: len(names)]] == names
            and [piece.type for piece in proto.pieces[: len(names)]] == SPECIAL_TYPES
        ),
        "its other pieces are not different texts": (
            # Bytes that are not UTF-8 are read as bytes.
            all(isinstance(piece, str) and piece for piece in learnt)
            and len({*learnt}) == len(learnt)
            and all(piece.type == NORMAL for piece in proto.pieces[len(names) :])
        ),
        "it normalises texts": not normalizer.precompiled_charsmap,
        "it adds, removes or replaces spaces": not (
            normalizer.add_dummy_prefix
            or normalizer.remove_extra_whitespaces
            or normalizer.escape_whitespaces
        ),
        f"its scores are not multiples of 1/{SCORE_GRID}": all(
            (piece.score * SCORE_GRID).is_integer() for piece in proto.pieces
        ),
    }
    return ", ".join(what for what, holds in expected.items() if not holds)


def _encode_valid(
    texts: Iterable[str | bytes], encode: Callable[[list[str]], list[list[int]]]
) -> list[list[int]]:
    """Encodes texts with `encode`; bytes that are not UTF-8 become ids of their own."""
    rows = [(row, _decode(row)) for row in encode_utf8(texts)]
    ids = iter(encode([text for _, text in rows if text is not None]))
    return [_encode_broken(row, encode) if text is None else next(ids) for row, text in rows]


def _encode_broken(text: bytes, encode: Callable[[list[str]], list[list[int]]]) -> list[int]:
    ids: list[int] = []
    for part in BROKEN.split(text.decode("utf-8", "surrogateescape")):
        ids += [FIRST_BYTE + ord(part) - 0xDC00] if BROKEN.fullmatch(part) else encode([part])[0]
    return ids


def _decode(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


def _sample(texts: Sequence[str], characters: int, seed: int) -> list[str]:
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    sample = []
    for i in order:
        text = EXCLUDED.sub("", to_bytes(texts[i]).decode()).strip()
        if text:
            sample.append(text[:characters])
            characters -= len(text)
        if characters <= 0:
            break
    return sample
