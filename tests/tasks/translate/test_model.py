"""Translating in Keras: searches, texts of any length, attention, and what is refused."""

import itertools

import keras
import numpy as np
import pytest

from keras_seq.backbones import RecurrentEncoderDecoder, TransformerEncoderDecoder
from keras_seq.compiling import JIT_CALLS
from keras_seq.decoding import Hypothesis
from keras_seq.errors import UserError
from keras_seq.models import Translator
from keras_seq.tasks.translate.model import MAX_BATCH_ROWS
from keras_seq.text import ByteTokenizer
from keras_seq.text.token_rows import pad_rows
from keras_seq.training import CrossEntropy
from tests.random_weights import randomize_weights

LENGTH = 24
TEXTS = ["a man", "", "two dogs run", "犬"]


def made(kind, length=LENGTH):
    tokenizer = ByteTokenizer()
    if kind == "transformer":
        backbone = TransformerEncoderDecoder(16, 2, 2, max_length=length + 1)
    else:
        backbone = RecurrentEncoderDecoder(16, kind, num_layers=2)
    model = Translator(backbone, tokenizer, length, "en", "de")
    return randomize_weights(model, 5)


@pytest.fixture(
    scope="module", params=[pytest.param("rnn", marks=pytest.mark.slow), "lstm", "transformer"]
)
def model(request):
    return made(request.param)


@pytest.fixture(scope="module")
def transformer():
    return made("transformer")


def log_p(model, text, ids):
    """Of a target's ids, its end included, in NumPy after reading everything at once."""
    source = np.array([model.tokenizer.encode([text])[0]], "int32").reshape(1, -1)
    logits = keras.ops.convert_to_numpy(model((source, np.array([[2, *ids[:-1]]], "int32"))))[0]
    logits = logits.astype("float64")
    logits[:, :3] = -np.inf
    logits -= logits.max(axis=-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits[np.arange(len(ids)), ids].sum()


def greedy(model, text, count):
    ids = []
    source = np.array([model.tokenizer.encode([text])[0]], "int32").reshape(1, -1)
    for _ in range(count):
        target = np.array([[2, *ids]], "int32")
        logits = keras.ops.convert_to_numpy(model((source, target)))[0, -1].copy()
        logits[:3] = -1e9
        if logits.argmax() == 3:
            break
        ids.append(int(logits.argmax()))
    return ids


def test_one_beam_is_greedy(model):
    expected = model.tokenizer.decode([greedy(model, text, 6) if text else [] for text in TEXTS])
    assert model.translate(TEXTS, num_beams=1, max_new_tokens=6) == expected
    assert all(found for text, found in zip(TEXTS, expected, strict=True) if text)


def test_nothing_is_translated_into_nothing(transformer):
    found = transformer.hypotheses(["", " \n ", "a man"], num_beams=3)
    assert found[0] == found[1] == [Hypothesis("", 0.0, True)]
    assert found[2][0].text
    source = np.array([[0, 0], transformer.tokenizer.encode(["ab"])[0]], "int32")
    numbers = (np.int32(8), np.int32(0), np.float32(0.6))
    ids, length, scores, ended = (
        keras.ops.convert_to_numpy(x) for x in transformer.search_ids(source, 3, LENGTH, *numbers)
    )
    for value, expected in ((ids, 0), (length, 0), (scores, 0), (ended, 1)):
        assert (value[0] == expected).all()
    assert length[1].all()
    assert scores[1].all()


def test_scores_are_those_of_the_whole_text(model):
    ids, count, scores, ended = (
        keras.ops.convert_to_numpy(x)
        for x in model.search_ids(
            np.array([model.tokenizer.encode(["a man"])[0]], "int32"),
            5,
            LENGTH,
            np.int32(8),
            np.int32(0),
            np.float32(0.6),
        )
    )
    rows = {tuple(row[:n]) for row, n in zip(ids[0], count[0], strict=True)}
    assert len(rows) == 5
    for row, n, score, end in zip(ids[0], count[0], scores[0], ended[0], strict=True):
        found = [*row[:n], *([3] if end else [])]
        assert end or n == 8
        expected = log_p(model, "a man", found) / ((5 + len(found)) / 6) ** 0.6
        assert score == pytest.approx(expected, abs=1e-3)


def test_a_text_does_not_depend_on_the_others(model):
    together = model.hypotheses(TEXTS, num_beams=3, max_new_tokens=8)
    for text, expected in zip(TEXTS, together, strict=True):
        (alone,) = model.hypotheses([text], num_beams=3, max_new_tokens=8)
        assert [h.text for h in alone] == [h.text for h in expected]


def test_many_texts_are_translated_as_few_are(transformer):
    """In calls of four texts, the last of three, which XLA compiles."""
    few = ["a man", "two dogs run", "犬", "b"]
    options = {"num_beams": MAX_BATCH_ROWS // 4, "max_new_tokens": 6}
    expected = transformer.translate(few, **options) * JIT_CALLS
    assert transformer.translate((few * JIT_CALLS)[:-1], **options) == expected[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("no_repeat", [0, 20])
def test_hypotheses_are_those_of_one_search(no_repeat):
    model = made("transformer", 45)
    bias = model.head.bias.numpy()
    bias[3] += 3.5  # Some end early, some late, and some never.
    model.head.bias.assign(bias)
    texts = [*TEXTS, "two men", "b", "a small dog", "c c c"]
    found = model.hypotheses(texts, num_beams=2, no_repeat_ngram=no_repeat)
    source = pad_rows(model.tokenizer.encode(texts), 45)
    numbers = (np.int32(45), np.int32(0), np.float32(0.6), no_repeat)
    ids, length, scores, ended = (
        keras.ops.convert_to_numpy(x) for x in model.search_ids(source, 2, 45, *numbers)
    )
    for text, row, *expected in zip(texts, found, ids, length, scores, ended, strict=True):
        if text:
            tokens, counts, values, ends = expected
            kept = [t[:n].tolist() for t, n in zip(tokens, counts, strict=True)]
            assert [h.text for h in row] == model.tokenizer.decode(kept)
            assert [h.ended for h in row] == ends.astype(bool).tolist()
            np.testing.assert_allclose([h.score for h in row], values, rtol=1e-4)
    few = 16
    assert (length[1:] < few).all(axis=1).any()
    assert (length[ended.astype(bool)] > few).any()
    assert not ended.all()


@pytest.mark.slow
def test_least_and_no_repeats(transformer):
    ends = transformer.head.bias.numpy().copy()
    ends[3] += 30.0
    transformer.head.bias.assign(ends)
    assert transformer.translate(["a man"], num_beams=2) == [""]
    short = transformer.hypotheses(["a man"], num_beams=2, min_new_tokens=5)[0]
    assert all(len(h.text.encode()) >= 5 and h.ended for h in short)
    ends[3] -= 60.0
    transformer.head.bias.assign(ends)
    for n in (1, 2):
        options = {"no_repeat_ngram": n, "max_new_tokens": 10}
        for row in transformer.hypotheses(["a man", "two dogs run"], num_beams=2, **options):
            assert all(not h.ended for h in row)
    ids = keras.ops.convert_to_numpy(
        transformer.search_ids(
            np.full((1, 4), 70, "int32"), 2, 10, np.int32(10), np.int32(0), np.float32(0), 2
        )[0]
    )[0]
    for row in ids:
        pairs = list(itertools.pairwise(row))
        assert len(set(pairs)) == len(pairs)
    ends[3] += 30.0
    transformer.head.bias.assign(ends)


def test_a_long_text_is_split(transformer):
    sentences = ["One man walks.", "Two dogs run here.", "x" * 40, "End."]
    halves = ["x" * 20, "x" * 20]
    options = {"num_beams": 2, "max_new_tokens": 6}
    expected = transformer.translate([*sentences[:2], *halves, "End."], **options)
    expected = " ".join(text.strip() for text in expected)
    assert transformer.translate([" ".join(sentences)], **options) == [expected]
    with pytest.raises(UserError, match="79 tokens.*room for 24.*split=False"):
        transformer.translate([" ".join(sentences)], split=False)
    assert len(transformer.translate(["word " * 1000], num_beams=1, max_new_tokens=2)) == 1


def test_attention(model):
    found = model.attention("a man", "ein")
    assert found["source"] == [*"a man", "</s>"]
    assert found["target"] == [*"ein", "</s>"]
    assert found["weights"].shape == (4, 6)
    np.testing.assert_allclose(found["weights"].sum(axis=1), 1, rtol=1e-5)
    memory = model.encode(np.array(model.tokenizer.encode(["a man"]), "int32"))
    target = np.array([[2, *model.tokenizer.encode(["ein"])[0]]], "int32")
    vectors, mask = model.embedding(target), memory["source_ids"] != 0
    expected = model.backbone.cross_attention(vectors, memory, mask)
    expected = keras.ops.convert_to_numpy(expected)[0]
    np.testing.assert_allclose(found["weights"], expected, atol=1e-5)


def test_preprocess(transformer):
    (source, read), told, weight = transformer.preprocess(["ab", "x" * 99], ["c", "y" * 99])
    assert source.shape == (2, LENGTH)
    assert source[0].tolist() == [101, 102] + [0] * (LENGTH - 2)
    assert read[0, :3].tolist() == [2, 103, 0]
    assert told[0, :3].tolist() == [103, 3, 0]
    assert (read[1] > 0).all()
    assert told[1, -1] == 3
    np.testing.assert_array_equal(weight > 0, told > 0)
    assert weight.mean() == pytest.approx(1)


def test_r_drop_is_that_of_the_paper():
    backbone = TransformerEncoderDecoder(16, num_layers=1, num_heads=2, dropout=0.3)
    model = Translator(backbone, ByteTokenizer(), 20)
    model.compile("sgd", CrossEntropy(from_logits=True))
    x, y, weight = model.preprocess(["one", "three"], ["eins", "drei"])
    seeds = [(variable, variable.numpy()) for variable in model.non_trainable_variables]
    logits = [model(x, training=True), model(x, training=True)]
    p, q = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in np.float64(logits))
    likelihoods = [np.log(np.take_along_axis(one, y[..., None], -1)[..., 0]) for one in (p, q)]
    divergence = (p * np.log(p / q)).sum(-1) + (q * np.log(q / p)).sum(-1)
    # Liang et al. 2021, equations 2 and 3, divided by the two passes.
    wanted = (-sum(likelihoods) + 5 / 2 * divergence) / 2

    model.r_drop = 5
    for variable, value in seeds:
        variable.assign(value)
    found = model.compute_loss(x, y, model(x, training=True), weight, training=True)
    assert np.abs(p - q).max() > 1e-3
    np.testing.assert_allclose(found, (wanted * weight).mean(), rtol=1e-5)
    alone = model.compute_loss(x, y, logits[0], weight, training=False)
    np.testing.assert_allclose(alone, (-likelihoods[0] * weight).mean(), rtol=1e-5)


def test_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    options = {"num_beams": 3, "max_new_tokens": 6}
    assert again.translate(TEXTS, **options) == model.translate(TEXTS, **options)
    assert again.describe() == model.describe()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_beams": 0}, "num_beams is a whole number from 1 to 130. Received: 0"),
        ({"num_beams": 1.5}, "beam"),
        ({"num_beams": 131}, "130. Received: 131"),
        ({"max_new_tokens": 25}, "max_new_tokens is a whole number from 1 to 24. Received: 25"),
        ({"max_new_tokens": 5, "min_new_tokens": 5}, "min_new_tokens .* 0 to 4"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram"),
        ({"length_penalty": -0.1}, "length_penalty is 0 or more"),
    ],
)
def test_values_out_of_range(transformer, given, words):
    with pytest.raises(UserError, match=words):
        transformer.translate(["a"], **given)


def test_what_is_refused(transformer):
    with pytest.raises(UserError, match=r"list of texts. Received: 7 \(int\)"):
        transformer.translate(7)
    with pytest.raises(UserError, match="translation has 30 tokens"):
        transformer.attention("a", "b" * 30)
    with pytest.raises(ValueError, match="from 1 to 24.*Received: 25"):
        Translator(transformer.backbone, ByteTokenizer(), 25)
    assert transformer.translate([]) == []
    assert [transformer.translate("a man")] == transformer.translate(["a man"])
