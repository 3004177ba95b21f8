"""One tokenizer in three engines: SentencePiece, tensorflow-text, Hugging Face tokenizers."""

import json
from collections import Counter

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from keras_seq.errors import UserError
from keras_seq.text import SentencePieceTokenizer
from keras_seq.text.sentencepiece import SCORE_GRID
from keras_seq.text.sentencepiece_model import parse_model
from keras_seq.text.token_rows import tokenize_to_matrix
from keras_seq.text.tokenizer import FIRST_PIECE
from keras_seq.text.utf8 import to_bytes

NASTY = [
    "", " ", "   ", " a", "a ", "a  b   c", "\0", "a\0b", "\n", "a\nb\r\nc\t", "👩‍👩‍👧 family", "é é",
    "مرحبا بالعالم", "中文 mixed 文字", "ＡＢＣ１２", "\x01\x7f\x9f", "<s>", "</s>hi", "<unk>", "<pad>",
    "<0x41> x", "\ud800x", "\u200b\ufeff", "\u2581", "a\u2581 b\u2585", " " * 50, "a" * 5000, "wonderful " * 10_000,
]  # fmt: skip


def to_unicode(text):
    return to_bytes(text).decode()


@pytest.fixture(scope="module")
def tokenizer(reviews):
    return SentencePieceTokenizer.train(reviews.train.texts[:1500], 2000)


@pytest.fixture(scope="module")
def hugging_face(tokenizer):
    return Tokenizer.from_str(tokenizer.to_json())


@pytest.mark.slow
def test_three_engines_agree(tokenizer, hugging_face, reviews):
    texts = NASTY + reviews.held_out.texts[:1000]
    ids = tokenizer.encode(texts)
    length = max(map(len, ids))
    rows = tokenizer.to_tensor([to_unicode(text).encode() for text in texts], length).numpy()
    for text, expected, row in zip(texts, ids, rows, strict=True):
        assert row[row != 0].tolist() == expected, text[:80]
        assert not row[len(expected) :].any()
        assert hugging_face.encode(to_unicode(text)).ids == expected, text[:80]


def test_round_trip(tokenizer, hugging_face, reviews):
    texts = [to_unicode(text) for text in NASTY + reviews.held_out.texts[:300]]
    ids = tokenizer.encode(texts)
    assert tokenizer.decode(ids) == texts
    assert hugging_face.decode_batch(ids, skip_special_tokens=False) == texts


@given(text=st.text())
def test_any_text(tokenizer, hugging_face, text):
    (ids,) = tokenizer.encode([text])
    assert hugging_face.encode(to_unicode(text)).ids == ids
    assert tokenizer.decode([ids]) == [to_unicode(text)]


def test_ids_are_cut_and_padded(tokenizer):
    (ids,) = tokenizer.encode(["a wonderful film"])
    rows = tokenize_to_matrix(
        tokenizer, ["a wonderful film", "", "a wonderful film " * 50], len(ids) + 2
    )
    assert rows.dtype == "int32"
    assert rows[0].tolist() == [*ids, 0, 0]
    assert not rows[1].any()
    assert rows[2].all()
    assert tokenizer.decode(rows[:1]) == ["a wonderful film"]


def test_scores_are_on_the_grid(tokenizer):
    model = parse_model(tokenizer.model)
    scores = [piece.score * SCORE_GRID for piece in model.pieces]
    assert scores == [round(score) for score in scores]
    assert len(set(scores)) > 60


def test_config_holds_everything(tokenizer):
    config = json.loads(json.dumps(tokenizer.get_config()))
    assert SentencePieceTokenizer.from_config(config).model == tokenizer.model


@pytest.mark.slow
def test_training_is_deterministic(tokenizer, reviews):
    again = SentencePieceTokenizer.train(reviews.train.texts[:1500], 2000)
    assert again.to_json() == tokenizer.to_json()


def test_small_chinese_corpus():
    texts = [f"这部电影很好看，值得再看第{i}遍" for i in range(50)]
    tokenizer = SentencePieceTokenizer.train(texts, 400)
    (ids,) = tokenizer.encode(["这部电影很好看"])
    assert len(ids) <= 7  # a piece a character at most: as bytes it would be 22
    assert tokenizer.decode([ids]) == ["这部电影很好看"]


def test_errors():
    for texts in ([], ["", "  "]):
        with pytest.raises(UserError, match="empty"):
            SentencePieceTokenizer.train(texts)
    with pytest.raises(UserError, match="261 or more.*Received: 10"):
        SentencePieceTokenizer.train(["a few words"], 10)
    with pytest.raises(UserError, match="not a SentencePiece model"):
        SentencePieceTokenizer(b"nothing of the kind")


# What a tokenizer is likeliest to trip over, to be strung together.
FRAGMENTS = [
    "<s>", "</s>", "<unk>", "<pad>", "<0x41>", "<0x", "0A>", "<", ">", "s>", "</", " ", "  ", "\0",
    "\n", "\r\n", "\t", "\v\x1f\x7f\x85", "\u00a0", "\u2003", "\u2028", "\u200d", "\u200b", "\ufeff",
    "\ufffd", "\uffff", "e\u0301", "\u00e9", "\u0301", "\u0915\u094d\u0937", "\u1112\u1161\u11ab",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f3f3\ufe0f", "\U0001f44d\U0001f3fd",
    "\u0645\u0631\u062d\u0628\u0627", "\u202e", "\u05e9\u05dc\u05d5\u05dd", "\u4e2d\u6587",
    "\u7535\u5f71", "\uff21\uff22", "\u3000", "\ufb01", "\ud800", "\udfff", "\udc80", "\U0010ffff",
    "the", " the", "ing", "movie", " wonderful", "I", "'s", ".", "...", "<br />", "a", "A1", "_",
]  # fmt: skip


def assert_one_tokenizer(tokenizer, hugging_face, texts):
    """The three engines cut every text alike, and what they cut goes together again."""
    ids = tokenizer.encode(texts)
    rows = tokenize_to_matrix(tokenizer, texts, max(1, *map(len, ids)) + 1)
    for text, expected, row in zip(texts, ids, rows, strict=True):
        assert row[: len(expected)].tolist() == expected, text[:80]
        assert not row[len(expected) :].any()
        assert hugging_face.encode(to_unicode(text)).ids == expected, text[:80]
        assert not {0, 1, 2, 3} & set(expected)  # text spells no special id
    assert tokenizer.decode(ids) == [to_unicode(text) for text in texts]


def test_fragments_alone_and_beside_each_other(tokenizer, hugging_face):
    texts = [*FRAGMENTS, *(a + b for a in FRAGMENTS for b in FRAGMENTS[:30])]
    assert_one_tokenizer(tokenizer, hugging_face, texts)


@given(texts=st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join), min_size=1))
def test_any_fragments(tokenizer, hugging_face, texts):
    ids = tokenizer.encode(texts)
    found = [encoding.ids for encoding in hugging_face.encode_batch([*map(to_unicode, texts)])]
    assert found == ids
    assert tokenizer.decode(ids) == [to_unicode(text) for text in texts]


@pytest.mark.parametrize("characters", [20_000, 100_000, 200_000])
def test_long_texts(tokenizer, hugging_face, reviews, characters):
    """Of film reviews, so that there is something to cut in more than one way.

    Float engines add exactly up to a sum of 2^20, some 100,000 pieces: see SCORE_GRID.
    """
    texts = [" ".join(reviews.held_out.texts[i : i + 400])[:characters] for i in (0, 400, 800)]
    assert [len(text) for text in texts] == [characters] * 3
    ids = tokenizer.encode(texts)
    assert tokenizer.decode(ids) == texts
    rows = tokenize_to_matrix(tokenizer, texts, max(map(len, ids)))
    differ = []
    for i, (text, expected, row) in enumerate(zip(texts, ids, rows, strict=True)):
        for engine, found in (
            ("tensorflow-text", row[row != 0].tolist()),
            ("tokenizers", hugging_face.encode(text).ids),
        ):
            if found != expected:
                pairs = zip(found, expected, strict=False)
                first = next(k for k, (a, b) in enumerate(pairs) if a != b)
                differ.append(f"{engine}, text {i}, from id {first} of {len(expected)}")
    assert not differ


def test_special_ids_and_vocabulary(tokenizer, hugging_face):
    vocabulary = hugging_face.get_vocab()
    assert len(vocabulary) == tokenizer.vocabulary_size == 2000
    assert [vocabulary[piece] for piece in ("<pad>", "<unk>", "<s>", "</s>")] == [0, 1, 2, 3]
    (ids,) = tokenizer.encode(["\U0010ffff"])
    assert ids == [4 + byte for byte in b"\xf4\x8f\xbf\xbf"]  # nothing is unknown
    assert hugging_face.decode(ids, skip_special_tokens=False) == "\U0010ffff"


def test_lone_surrogates_become_question_marks():
    assert to_unicode("a\ud800b\udfff") == "a?b?"
    assert to_unicode("\U0001f469\u200d e\u0301") == "\U0001f469\u200d e\u0301"


def test_scores_of_the_json_are_on_the_grid(tokenizer):
    vocabulary = json.loads(tokenizer.to_json())["model"]["vocab"]
    scores = [score for _, score in vocabulary]
    assert all(score * SCORE_GRID == round(score * SCORE_GRID) for score in scores)
    assert all(score <= 0 for score in scores)
    assert max(scores[:260]) < min(scores[260:])  # a byte is worse than any piece


def test_config_through_keras(tokenizer):
    config = keras.saving.serialize_keras_object(tokenizer)
    loaded = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert loaded.model == tokenizer.model
    texts = ["A wonderful film, <s> and \u4e2d\u6587.", ""]
    assert loaded.encode(texts) == tokenizer.encode(texts)


def test_decode_leaves_padding_out(tokenizer):
    (ids,) = tokenizer.encode(["not a bad film"])
    assert tokenizer.decode([[*ids, 0, 0], [0, *ids], []]) == ["not a bad film"] * 2 + [""]


def test_training_is_deterministic_to_the_byte():
    texts = [f"a film of {i} scenes and {i * i} lines" for i in range(300)]
    models = [SentencePieceTokenizer.train(texts, 350, seed=1).model for _ in range(2)]
    assert models[0] == models[1]
    other = SentencePieceTokenizer.train(texts[:100], 350, seed=1)
    assert other.model != models[0]


def test_chinese_corpus_in_three_engines():
    subjects = ["这部电影", "导演", "剧情", "演员的表演", "音乐", "画面"]
    judgements = ["很好看", "太无聊了", "令人感动", "浪费时间", "值得再看一遍", "一般般"]
    texts = [f"{a}{b}，{c}{d}。" for a in subjects for b in judgements for c in subjects[:3]
             for d in judgements]  # fmt: skip
    tokenizer = SentencePieceTokenizer.train(texts, 400)
    hugging_face = Tokenizer.from_str(tokenizer.to_json())
    assert_one_tokenizer(tokenizer, hugging_face, [*texts, "我没看过 this one 𠮷", "！？"])
    (ids,) = tokenizer.encode(["这部电影很好看"])
    assert len(ids) < 7  # words were learned: fewer pieces than characters


@pytest.mark.parametrize("texts", [[], [""], [" ", "\n\t"], ["\0"], ["\u3000"]])
def test_a_corpus_of_nothing(texts):
    with pytest.raises(UserError, match="every text given is empty"):
        SentencePieceTokenizer.train(texts)


@pytest.mark.parametrize("model", [b"", b"\0", b"{}", b"x" * 1000])
def test_bytes_that_are_no_model(model):
    with pytest.raises(UserError, match="not a SentencePiece model"):
        SentencePieceTokenizer(model)


def test_a_model_cut_short(tokenizer):
    with pytest.raises(UserError, match="not a SentencePiece model"):
        SentencePieceTokenizer(tokenizer.model[: len(tokenizer.model) // 2])


def ways(text, pieces):
    """Every way to cut `text` into `pieces`."""
    if not text:
        return [()]
    heads = [text[:n] for n in range(1, len(text) + 1) if text[:n] in pieces]
    return [(head, *rest) for head in heads for rest in ways(text[len(head) :], pieces)]


@pytest.mark.parametrize("alpha", [0.2, 0.5])
def test_a_way_is_drawn_with_its_probability_to_the_power_alpha(tokenizer, alpha):
    text, count = " better", 20_000
    pieces = {piece.decode(): i for i, piece in enumerate(tokenizer.pieces()) if i >= FIRST_PIECE}
    score = tokenizer._processor.GetScore
    all_ways = ways(text, pieces)
    weights = np.exp([alpha * sum(score(pieces[piece]) for piece in way) for way in all_ways])
    drawn = Counter(map(tuple, tokenizer.sample([text] * count, alpha, seed=3)))
    assert len(all_ways) > 10
    ids = [tuple(pieces[piece] for piece in way) for way in all_ways]
    assert drawn.keys() <= set(ids)
    share = weights / weights.sum()
    found = np.array([drawn[way] for way in ids])
    # Bernstein's inequality, which holds for rare ways, too: one in a million lies farther away.
    variance, bound = count * share * (1 - share), np.log(2e6) / 3
    np.testing.assert_array_less(
        np.abs(found - count * share), bound + np.sqrt(bound**2 + 6 * bound * variance)
    )


def test_a_sample_is_the_text_and_its_seed_decides(tokenizer, reviews):
    texts = [text for text in NASTY if len(text) < 1000] + reviews.held_out.texts[:300]
    ids = tokenizer.sample(texts, 0.3, seed=1)
    assert tokenizer.decode(ids) == list(map(to_unicode, texts))
    tokenizer.sample(texts[:7], 0.3, seed=2)
    assert tokenizer.sample(texts, 0.3, seed=1) == ids
    assert tokenizer.sample(texts, 0.3, seed=2) != ids
    assert sum(map(len, ids)) > 1.05 * sum(map(len, tokenizer.encode(texts)))
    broken = b"better \xff\xfe than"
    assert tokenizer.decode_bytes(tokenizer.sample([broken], 0.3, seed=1)) == [broken]
