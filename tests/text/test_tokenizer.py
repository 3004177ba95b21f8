"""One tokenizer in three engines: SentencePiece, tensorflow-text, Hugging Face tokenizers."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from keras_seq.data.pipeline import tokenize
from keras_seq.errors import UserError
from keras_seq.text import SentencePieceTokenizer
from keras_seq.text.tokenizer import SPACE, to_unicode

NASTY = [
    "", " ", "   ", " a", "a ", "a  b   c", "\0", "a\0b", "\n", "a\nb\r\nc\t", "👩‍👩‍👧 family", "é é",
    "مرحبا بالعالم", "中文 mixed 文字", "ＡＢＣ１２", "\x01\x7f\x9f", "<s>", "</s>hi", "<unk>", "<pad>",
    "<0x41> x", "\ud800x", "\u200b\ufeff", " " * 50, "a" * 5000, "wonderful " * 10_000,
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(reviews):
    return SentencePieceTokenizer.train(reviews.train.texts[:1500], 2000)


@pytest.fixture(scope="module")
def hugging_face(tokenizer):
    return Tokenizer.from_str(tokenizer.to_json())


def test_three_engines_agree(tokenizer, hugging_face, reviews):
    texts = NASTY + reviews.held_out.texts[:1000]
    ids = tokenizer.encode(texts)
    length = max(map(len, ids))
    rows = tokenize(tokenizer, texts, length)
    for text, expected, row in zip(texts, ids, rows, strict=True):
        assert row[row != 0].tolist() == expected, text[:80]
        assert not row[len(expected) :].any()
        assert hugging_face.encode(to_unicode(text)).ids == expected, text[:80]


def test_round_trip(tokenizer, hugging_face, reviews):
    texts = [to_unicode(text) for text in NASTY + reviews.held_out.texts[:300]]
    ids = tokenizer.encode(texts)
    assert tokenizer.decode(ids) == texts
    assert hugging_face.decode_batch(ids, skip_special_tokens=False) == texts


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text().filter(lambda text: SPACE not in text))
def test_any_text(tokenizer, hugging_face, text):
    (ids,) = tokenizer.encode([text])
    assert hugging_face.encode(to_unicode(text)).ids == ids
    assert tokenizer.decode([ids]) == [to_unicode(text)]


def test_ids_are_cut_and_padded(tokenizer):
    (ids,) = tokenizer.encode(["a wonderful film"])
    rows = tokenize(tokenizer, ["a wonderful film", "", "a wonderful film " * 50], len(ids) + 2)
    assert rows.dtype == "int32"
    assert rows[0].tolist() == [*ids, 0, 0]
    assert not rows[1].any()
    assert rows[2].all()
    assert tokenizer.decode(rows[:1]) == ["a wonderful film"]


def test_scores_are_on_the_grid(tokenizer):
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(tokenizer.model)
    scores = [piece.score * 256 for piece in model.pieces]
    assert scores == [round(score) for score in scores]
    assert len(set(scores)) > 500


def test_config_holds_everything(tokenizer):
    config = json.loads(json.dumps(tokenizer.get_config()))
    assert SentencePieceTokenizer.from_config(config).model == tokenizer.model


def test_training_is_deterministic(tokenizer, reviews):
    again = SentencePieceTokenizer.train(reviews.train.texts[:1500], 2000)
    assert again.to_json() == tokenizer.to_json()


def test_small_chinese_corpus():
    texts = [f"这部电影很好看，值得再看第{i}遍" for i in range(50)]
    tokenizer = SentencePieceTokenizer.train(texts, 400)
    (ids,) = tokenizer.encode(["这部电影很好看"])
    assert len(ids) <= 8  # a piece a character at most: as bytes it would be 22
    assert tokenizer.decode([ids]) == ["这部电影很好看"]


def test_errors():
    for texts in ([], ["", "  "]):
        with pytest.raises(UserError, match="empty"):
            SentencePieceTokenizer.train(texts)
    with pytest.raises(UserError, match="10 pieces"):
        SentencePieceTokenizer.train(["a few words"], 10)
    with pytest.raises(UserError, match="not a SentencePiece model"):
        SentencePieceTokenizer(b"nothing of the kind")
