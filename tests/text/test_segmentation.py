"""The tokenizer as a tensor program against the equation, and against the SentencePiece library."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_seq.text import ByteTokenizer, SentencePieceTokenizer
from keras_seq.text.segmentation import UnigramTables, token_ids
from keras_seq.text.utf8 import pack_texts

FIRST_BYTE = 4


def segmented(pieces, text):
    """Viterbi's recursion, a byte at a time: ids of the best way, the earlier start where two tie.

    A byte alone is worse than any way through pieces.
    """
    best, back = [0], [None]
    lowest = -100 * (1 + max((abs(s) for _, s in pieces.values()), default=0))
    for end in range(1, len(text) + 1):
        ways = []
        for start in range(end):
            for i, (piece, score) in pieces.items():
                if text[start:end] == piece:
                    ways.append((best[start] + score, -start, i))
        single = (best[end - 1] + lowest, -(end - 1), FIRST_BYTE + text[end - 1])
        if not any(way[1] == single[1] for way in ways):
            ways.append(single)
        score, start, i = max(ways)
        best.append(score)
        back.append((-start, i))
    ids, end = [], len(text)
    while end:
        end, i = back[end]
        ids.insert(0, i)
    return ids


def in_graph(function, texts, static):
    """`function(text, length)` of all texts at once, with shapes known while tracing or not."""
    text, length = pack_texts(texts)
    shape = text.shape if static else (None, None)
    traced = tf.function(
        function,
        input_signature=[tf.TensorSpec(shape, "uint8"), tf.TensorSpec(shape[:1], "int32")],
        autograph=False,
    )
    return traced(text, length).numpy()


vocabularies = st.dictionaries(
    st.text("ab é", min_size=2, max_size=5), st.integers(-4, 0), min_size=0, max_size=12
)


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 6)  # Each is a graph of its own.
@given(
    longer=vocabularies,
    singles=st.integers(-4, 0),
    texts=st.lists(st.text("aab éx", max_size=40), min_size=1, max_size=4),
    static=st.booleans(),
)
def test_equals_the_recursion_where_much_ties(longer, singles, texts, static):
    scores = {char: singles for char in "ab é"} | longer
    pieces = {300 + i: (piece.encode(), score) for i, (piece, score) in enumerate(scores.items())}
    tables = UnigramTables.build(pieces, FIRST_BYTE)
    texts = [text.encode() for text in texts]
    found = in_graph(lambda text, n: token_ids(tables, text, n, 400), texts, static)
    for text, row in zip(texts, found, strict=True):
        assert row[row != 0].tolist() == segmented(pieces, text), text


def test_a_vocabulary_that_is_refused():
    with pytest.raises(ValueError, match="b'ab' cannot be read"):
        UnigramTables.build({300: (b"a", -1), 301: (b"ab", -1)}, FIRST_BYTE)
    with pytest.raises(ValueError, match="cannot be read"):
        UnigramTables.build({300: (b"\0", -1)}, FIRST_BYTE)


@pytest.fixture(scope="module")
def tokenizer(reviews):
    return SentencePieceTokenizer.train(reviews.train.texts[:1500], 2000)


@pytest.fixture(scope="module")
def tokenize(tokenizer):
    """Ids in a graph that is traced once, for any batch and length."""
    traced = tf.function(
        lambda text, length: tokenizer.token_ids(text, length, 1 << 20),
        input_signature=[tf.TensorSpec((None, None), "uint8"), tf.TensorSpec((None,), "int32")],
        autograph=False,
    )
    return lambda texts: [row[row != 0].tolist() for row in traced(*pack_texts(texts)).numpy()]


@pytest.mark.slow
@given(texts=st.lists(st.binary(max_size=80), min_size=1, max_size=4))
def test_any_bytes(tokenizer, tokenize, texts):
    ids = tokenize(texts)
    assert ids == tokenizer.encode(texts)
    assert tokenizer.decode_bytes(ids) == texts


@given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=4))
def test_any_text(tokenizer, tokenize, texts):
    texts = [text.encode("utf-8", "replace") for text in texts]
    ids = tokenize(texts)
    assert ids == tokenizer._processor.EncodeAsIds([text.decode() for text in texts])
    assert tokenizer.decode_bytes(ids) == texts


def test_reviews_and_what_is_cut_nowhere(tokenizer, tokenize, reviews):
    texts = [text.encode() for text in reviews.held_out.texts[:200]]
    texts += [b"", b"a" * 3000, b" " * 500, "的".encode() * 700, b"\0" * 40, b"\xff" * 40]
    assert tokenize(texts) == tokenizer.encode(texts)


def test_ids_are_cut_to_what_is_asked_for(tokenizer):
    text = "A wonderful film, and far too short."
    (ids,) = tokenizer.encode([text])
    found = in_graph(lambda x, n: tokenizer.token_ids(x, n, 5), [text.encode()], static=True)
    assert found.tolist() == [ids[:5]]
    short = in_graph(lambda x, n: tokenizer.token_ids(x, n, 50), [b"a"], static=True)
    assert short.shape == (1, 1)  # no more ids than bytes
    rows = in_graph(lambda x, n: tokenizer.token_ids(x, n, 50), [text.encode(), b"a"], False)
    assert rows.shape == (2, len(ids))


def test_what_stands_after_a_text_is_not_read(tokenizer):
    text, _ = pack_texts([b"a wonderful film", b"wonderful"])
    found = tokenizer.token_ids(text, np.array([3, 9], "int32"), 16)
    expected = tokenizer.encode([b"a w", b"wonderful"])
    assert [row[row != 0].tolist() for row in np.asarray(found)] == expected
    beyond = tokenizer.token_ids(text, np.array([99, 9], "int32"), 16)
    assert [row[row != 0].tolist() for row in np.asarray(beyond)] == tokenizer.encode(
        [b"a wonderful film", b"wonderful"]
    )


def joined_in_graph(tokenizer, rows, max_bytes=None):
    width = max(map(len, rows))
    ids = np.array([[*row, *[0] * (width - len(row))] for row in rows], "int32")
    text, length = tokenizer.text(tf.constant(ids), max_bytes)
    return [row[:n].tobytes() for row, n in zip(text.numpy(), length.numpy(), strict=True)]


@given(
    rows=st.lists(st.lists(st.integers(0, 1999), min_size=1, max_size=20), min_size=1, max_size=4)
)
def test_any_ids_join_to_their_pieces(tokenizer, rows):
    expected = tokenizer.decode_bytes(rows)
    assert joined_in_graph(tokenizer, rows) == expected


@given(text=st.text(min_size=1, max_size=30), limit=st.integers(1, 40))
def test_a_joined_text_is_cut_between_characters(text, limit):
    text = text.encode("utf-8", "replace")
    (found,) = joined_in_graph(ByteTokenizer(), ByteTokenizer().encode([text]), limit)
    assert len(found) <= limit
    assert text.startswith(found)
    found.decode()
    if len(found) < len(text):
        first = len(text[len(found) :].decode()[0].encode())
        assert len(found) + first > limit  # one more character would have been too much


@given(texts=st.lists(st.binary(max_size=40), min_size=1, max_size=3), static=st.booleans())
def test_bytes_are_tokens(texts, static):
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(texts)
    assert ids == [[FIRST_BYTE + byte for byte in text] for text in texts]
    found = in_graph(lambda x, n: tokenizer.token_ids(x, n, 30), texts, static)
    assert [row[row != 0].tolist() for row in found] == [row[:30] for row in ids]
    assert tokenizer.decode_bytes(ids) == texts
    rows = tokenizer.to_tensor(tf.constant(texts), 30).numpy()
    assert [row[row != 0].tolist() for row in rows] == [row[:30] for row in ids]


def test_bytes_in_hugging_face_tokenizers():
    from tokenizers import Tokenizer

    other = Tokenizer.from_str(ByteTokenizer().to_json())
    for text in ("", "a film", "<s> <0x41>", "电影 👩‍👩‍👧", " \n\t"):
        (ids,) = ByteTokenizer().encode([text])
        assert other.encode(text).ids == ids
        assert other.decode(ids, skip_special_tokens=False) == text


def test_one_text_is_a_list_of_one(tokenizer):
    for text in ("a film", b"a film"):
        assert tokenizer.encode(text) == tokenizer.encode([text])
