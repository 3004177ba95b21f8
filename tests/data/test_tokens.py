import numpy as np
import pytest

from keras_seq.data import tokens
from keras_seq.data.tokens import tokenize_cached
from keras_seq.text import SentencePieceTokenizer, token_rows
from keras_seq.text.token_rows import TokenRows, tokenize_to_matrix

TEXTS = ["a fine film", "", "a dull film " * 30, "好看", "x"]


@pytest.fixture(scope="module")
def tokenizer(reviews):
    return SentencePieceTokenizer.train(reviews.train.texts[::40], 1000)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "keras-seq" / "tokens"


def as_lists(rows):
    starts = [0, *rows.ends[:-1]]
    return [rows.ids[a:b].tolist() for a, b in zip(starts, rows.ends, strict=True)]


def test_rows_are_what_the_tokenizer_gives(tokenizer, cache, monkeypatch):
    monkeypatch.setattr(token_rows, "TOKENIZE_CHUNK", 2)
    rows = tokenize_cached(tokenizer, TEXTS)
    assert as_lists(rows) == tokenizer.encode(TEXTS)
    assert rows.lengths.tolist() == [len(ids) for ids in tokenizer.encode(TEXTS)]
    assert len(rows) == 5


def test_padded():
    rows = TokenRows(np.array([5, 6, 7, 8], "uint16"), np.array([3, 3, 4]))
    np.testing.assert_array_equal(
        rows.pad([2, 0, 1], 4), [[8, 0, 0, 0], [5, 6, 7, 0], [0, 0, 0, 0]]
    )
    cut = rows.pad([0], 2)
    assert cut.tolist() == [[5, 6]]
    assert cut.dtype == "int32"


def test_tokenize_cuts_and_pads(tokenizer):
    ids = tokenize_to_matrix(tokenizer, TEXTS, 8)
    assert ids.shape == (5, 8)
    for row, whole in zip(ids, tokenizer.encode(TEXTS), strict=True):
        assert row.tolist() == (whole + [0] * 8)[:8]
    assert tokenize_to_matrix(tokenizer, [], 8).shape == (0, 8)


def test_the_second_time_comes_from_the_cache(tokenizer, cache, monkeypatch):
    first = tokenize_cached(tokenizer, TEXTS)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(tokens, "encode_rows", None)
    again = tokenize_cached(tokenizer, TEXTS)
    assert isinstance(again.ids, np.memmap)
    assert as_lists(again) == as_lists(first)
    assert again.fingerprint() == first.fingerprint()


def test_other_texts_and_other_tokenizers_are_not_mistaken(tokenizer, cache, reviews):
    other = SentencePieceTokenizer.train(reviews.train.texts[::50], 600)
    for engine, texts in ((tokenizer, ["ab", "c"]), (tokenizer, ["a", "bc"]), (other, ["ab", "c"])):
        assert as_lists(tokenize_cached(engine, texts)) == engine.encode(texts)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"cut"])
def test_a_damaged_cache_is_made_again(tokenizer, cache, damage):
    tokenize_cached(tokenizer, TEXTS)
    (path,) = cache.glob("*/ids.npy")
    path.write_bytes(path.read_bytes()[:-1] if damage else damage)
    assert as_lists(tokenize_cached(tokenizer, TEXTS)) == tokenizer.encode(TEXTS)
    assert path.stat().st_size > 100


def test_a_cache_that_cannot_be_written_does_not_matter(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert as_lists(tokenize_cached(tokenizer, TEXTS)) == tokenizer.encode(TEXTS)


def test_fingerprint_tells_rows_apart():
    ids = np.arange(4)
    prints = {
        TokenRows(ids, np.array(ends)).fingerprint() for ends in ([4], [2, 4], [1, 4], [2, 2, 4])
    }
    assert len(prints) == 4
    same = TokenRows(ids.astype("uint16"), np.array([4], "int32"))
    assert same.fingerprint() == TokenRows(ids, np.array([4])).fingerprint()
