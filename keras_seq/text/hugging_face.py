"""A tokenizer in the Hugging Face format, for its libraries in Python, Rust and JavaScript.

Their unigram model reads characters, ours bytes. So the bytes of a text are written as characters
first, one each (`ByteLevel`, as GPT-2 does), and pieces likewise. (The other way, `byte_fallback`,
is unknown to the library for JavaScript.)
"""

from collections.abc import Sequence

from keras_seq.text.tokenizer import FIRST_PIECE, SPECIAL_PIECES, UNKNOWN

# A single byte is worse than any piece, and the name of a special id that a text spells out is
# worse than its bytes.
BYTE_SCORE, NAME_SCORE = -1e4, -1e9


def to_tokenizer_json(pieces: Sequence[bytes], scores: Sequence[float]) -> str:
    """Returns a `tokenizer.json`.

    Args:
        pieces: The bytes of all ids; see `Tokenizer.pieces`.
        scores: The scores of the pieces behind the bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    learnt = set(pieces[FIRST_PIECE:])
    vocabulary = [(name, NAME_SCORE) for name in SPECIAL_PIECES]
    for byte in range(256):
        # A byte that is also a piece is always read as the piece.
        is_piece = bytes([byte]) in learnt
        name = f"<0x{byte:02X}>" if is_piece else CHARACTERS[byte]
        vocabulary.append((name, NAME_SCORE if is_piece else BYTE_SCORE))
    for piece, score in zip(pieces[FIRST_PIECE:], scores, strict=True):
        vocabulary.append(("".join(CHARACTERS[byte] for byte in piece), score))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=UNKNOWN, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer.to_str()


def _characters() -> list[str]:
    """Returns a character for each byte: its own if printable, else from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 256 + others.index(byte)) for byte in range(256)]


CHARACTERS = _characters()
