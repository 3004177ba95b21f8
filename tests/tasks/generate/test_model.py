"""Generating text in Keras: whole texts and streams, settings, and what is refused."""

import keras
import numpy as np
import pytest

from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.decoding import next_token
from keras_seq.embeddings import TokenEmbedding
from keras_seq.errors import UserError
from keras_seq.models import TextGenerator
from keras_seq.tasks.language_modeling.model import mask_special_tokens
from keras_seq.text import ByteTokenizer
from tests.random_weights import randomize_weights

LENGTH = 32


def made(kind, layers=2):
    tokenizer = ByteTokenizer()
    if kind == "transformer":
        options = {"max_length": LENGTH, "positions": "rotary", "causal": True}
        backbone = TransformerBackbone(16, layers, 2, **options)
    else:
        backbone = RecurrentBackbone(16, kind)
    model = TextGenerator(backbone, tokenizer, LENGTH, tie_embeddings=True)
    return randomize_weights(model, 5)


@pytest.fixture(
    scope="module", params=[pytest.param("rnn", marks=pytest.mark.slow), "lstm", "transformer"]
)
def model(request):
    return made(request.param)


@pytest.fixture(scope="module")
def transformer():
    """Of one layer, where a test is of what surrounds the layers."""
    return made("transformer", layers=1)


def greedy(model, prompt, count, penalty=1.0):
    """By reading the whole text again for each token, in NumPy."""
    ids = [2, *model.tokenizer.encode([prompt])[0]]
    seen, new = set(ids[1:]), []
    for _ in range(count):
        logits = keras.ops.convert_to_numpy(model(np.array([[*ids, *new]], "int32")))[0, -1].copy()
        logits[:3] = -1e9
        for token in seen:
            logits[token] = (
                logits[token] / penalty if logits[token] > 0 else logits[token] * penalty
            )
        token = int(logits.argmax())
        if token == 3:
            break
        new.append(token)
        seen.add(token)
    return model.tokenizer.decode([new])[0]


def test_generates_what_reading_everything_again_gives(model):
    prompts = ["the people", "", "é"]
    expected = [greedy(model, prompt, 12) for prompt in prompts]
    assert model.generate(prompts, 12, temperature=0.0) == expected
    assert "".join(model.stream(prompts[0], 12, temperature=0.0)) == expected[0]


@pytest.mark.slow
def test_a_row_does_not_depend_on_the_others(model):
    together = model.generate(["the", "people speak", ""], 10, temperature=0.9, seed=7)
    assert model.generate(["the"], 10, temperature=0.9, seed=7) == together[:1]
    assert "".join(model.stream("the", 10, temperature=0.9, seed=7)) == together[0]
    longer = model.generate(["the"], 16, temperature=0.9, seed=7)[0]
    assert longer.encode("utf-8", "replace").startswith(
        together[0].rstrip("\ufffd").encode("utf-8", "replace")
    )
    # Nor on how much place they have.
    alone = model.generate(["the"], temperature=0.9, seed=7)
    assert model.generate(["the", "x" * (LENGTH - 2)], temperature=0.9, seed=7)[:1] == alone
    assert model.generate(["the"], 10, seed=8) != model.generate(["the"], 10, seed=9)


def test_repetition_penalty(transformer):
    for penalty in (0.5, 1.7):
        expected = greedy(transformer, "people", 12, penalty)
        found = transformer.generate(["people"], 12, temperature=0.0, repetition_penalty=penalty)
        assert found == [expected]
    assert greedy(transformer, "people", 12, 1.7) != greedy(transformer, "people", 12)


def test_searches_for_the_likeliest(model):
    prompts = ["the people", "", "é"]
    alone = [[text] for text in model.generate(prompts, 6, temperature=0.0)]
    found = model.beam_search(prompts, 6, num_beams=1)
    assert [[hypothesis.text for hypothesis in row] for row in found] == alone
    wide = model.beam_search(prompts, 6, num_beams=5)
    (lonely,) = model.beam_search(prompts[:1], 6, num_beams=5)
    assert [h.text for h in wide[0]] == [h.text for h in lonely]
    for prompt, row, (narrow,) in zip(prompts, wide, found, strict=True):
        assert len(row) == 5
        assert [h.ended for h in row] == sorted((h.ended for h in row), reverse=True)
        for ended in (False, True):
            scores = [h.score for h in row if h.ended == ended]
            assert scores == sorted(scores, reverse=True)
        for hypothesis in [*row, narrow]:
            if "\ufffd" not in hypothesis.text:
                assert hypothesis.score == pytest.approx(log_p(model, prompt, hypothesis), abs=1e-3)


def log_p(model, prompt, hypothesis):
    """Of a text after a prompt, read all at once."""
    before, new = model.tokenizer.encode([prompt, hypothesis.text])
    new = [*new, *([3] if hypothesis.ended else [])]
    logits = keras.ops.convert_to_numpy(model(np.array([[2, *before, *new]], "int32")))[0]
    logits = logits[len(before) : -1].astype("float64")
    logits[:, :3] = -np.inf
    logits -= logits.max(axis=-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits[np.arange(len(new)), new].sum()


def test_stop_strings_span_tokens(transformer):
    (whole,) = transformer.generate(["the"], 20, temperature=0.9, seed=1)
    stop = whole[6:9]
    expected = whole[: whole.index(stop)]
    assert transformer.generate(["the"], 20, temperature=0.9, seed=1, stop=[stop]) == [expected]
    assert transformer.generate("the", 20, temperature=0.9, seed=1, stop=stop) == expected
    assert transformer.generate("the", 20, temperature=0.9, seed=1, stop=None) == whole
    pieces = list(transformer.stream("the", 20, temperature=0.9, seed=1, stop=["zzzz", stop]))
    assert "".join(pieces) == expected
    assert all(pieces)
    # The one that is complete first ends the text, wherever the other began.
    stop = [whole[5:9], whole[6:8]]
    expected = transformer.generate(["the"], 20, temperature=0.9, seed=1, stop=stop)
    pieces = transformer.stream("the", 20, temperature=0.9, seed=1, stop=stop)
    assert ["".join(pieces)] == expected


def test_numbers_of_numpy_and_numbers_beyond_all_tokens(transformer):
    expected = transformer.generate(["the"], 9, seed=1)
    assert transformer.generate(["the"], np.int64(9), seed=np.int64(1), top_k=10**12) == expected
    assert transformer.generate(["the"], 9, seed=1, top_k=np.int64(0)) == expected


def test_saved_and_loaded(transformer, tmp_path):
    transformer.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.generate(["the"], 9, seed=1) == transformer.generate(["the"], 9, seed=1)


def test_generation_follows_the_weights():
    """A compiled function must not keep the weights it was compiled with."""
    model = made("rnn")
    before = model.generate(["the"], 8, temperature=0.0)
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    assert model.generate(["the"], 8, temperature=0.0) == [greedy(model, "the", 8)] != before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temperature": -0.1}, "temperature is a number, 0 or more. Received: -0.1"),
        ({"temperature": "hot"}, "temperature is a number.*'hot'"),
        ({"top_p": 0.0}, "top_p is from 1e-06 to 1"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": 1.5}, "top_k"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"repetition_penalty": 1e-50}, "repetition_penalty"),
        ({"temperature": 1e300}, "temperature"),
        ({"stop": 3}, "stop is a list"),
        ({"stop": [""]}, "stop"),
        ({"seed": -1}, "seed"),
        ({"max_new_tokens": 0}, "max_new_tokens is a whole number, 1 or more. Received: 0"),
        ({"max_new_tokens": LENGTH}, f"max_new_tokens is less than {LENGTH}"),
        ({"num_beams": 2}, "temperature, top_k"),
    ],
)
def test_refused_settings(transformer, given, words):
    with pytest.raises(UserError, match=words):
        transformer.generate(["the"], **given)
    with pytest.raises(UserError, match=words):
        transformer.stream("the", **given)


@pytest.mark.slow
def test_prompts_that_are_too_long(transformer):
    text = "x" * 30
    with pytest.raises(UserError, match="30 tokens.*room for 32, 10 new ones.*truncate"):
        transformer.generate([text], 10)
    assert transformer.generate([text], 10, temperature=0.0, truncate=True) == (
        transformer.generate([text[-22:]], 10, temperature=0.0)
    )
    # Where no number is given, what is too long leaves half of the places.
    assert transformer.generate(["y" * 40, text], seed=1, truncate=True) == [
        transformer.generate(["y" * 16], 16, seed=1)[0],
        transformer.generate([text, text], 2, seed=1)[1],
    ]
    with pytest.raises(UserError, match=r"list of texts. Received: None"):
        transformer.generate(None)
    assert [transformer.generate("the", 4, seed=1)] == transformer.generate(["the"], 4, seed=1)
    assert transformer.generate([]) == []
    lstm = made("lstm")  # has no end
    assert len(lstm.generate(["y" * 50], 60, temperature=0.0)[0]) > 0


def test_only_causal_backbones_write():
    with pytest.raises(ValueError, match="both directions"):
        TextGenerator(RecurrentBackbone(8, bidirectional=True), ByteTokenizer())
    with pytest.raises(ValueError, match="260 ids.*200"):
        few = TokenEmbedding(200, 8)
        TextGenerator(RecurrentBackbone(8), ByteTokenizer(), embedding=few)
    with pytest.raises(ValueError, match="one width.*embedding 4, backbone 8"):
        narrow = TokenEmbedding(260, 4)
        TextGenerator(RecurrentBackbone(8), ByteTokenizer(), 9, True, narrow)


def test_one_prompt_after_another_of_any_length():
    """Each is written and searched as by a model that has written nothing before."""
    prompts = ["a", "a longer prompt", "a prompt of many tokens"]  # 16 places, and 32
    model = made("transformer", layers=1)
    for prompt in [*prompts, *reversed(prompts)]:
        expected = greedy(model, prompt, 6)
        assert "".join(model.stream(prompt, 6, temperature=0.0)) == expected
        (found,) = model.beam_search([prompt], 6, num_beams=1)
        assert found[0].text == expected


@pytest.mark.parametrize("count", [None, LENGTH - 3])
def test_a_search_to_the_last_place(transformer, count):
    (found,) = transformer.beam_search(["the"], count, num_beams=1)
    assert found[0].text == greedy(transformer, "the", LENGTH - 3)
    several = transformer.beam_search(["the"], count, num_beams=3)[0]
    assert len(several) == 3


def test_many_numbers_of_prompts_are_compiled_a_few_times(model):
    prompts = ["the people", "", "é", "a", "b", "c", "d", "e"]
    together = model.generate(prompts, 8, temperature=0.9, seed=2)
    before = model.generate_compiled.experimental_get_tracing_count()
    for count in (5, 6, 7):
        assert model.generate(prompts[:count], 8, temperature=0.9, seed=2) == together[:count]
    assert model.generate_compiled.experimental_get_tracing_count() == before


def test_no_temperature_makes_a_token_of_what_is_none(transformer):
    for seed in range(20):
        settings = {"temperature": 1e12, "seed": seed}
        (text,) = transformer.generate(["a"], 8, **settings)
        assert "".join(transformer.stream("a", 8, **settings)) == text
    uniform = np.linspace(0, 1, 300, endpoint=False).astype("float32")
    logits = keras.ops.convert_to_tensor(np.zeros((300, 259), "float32"))
    numbers = (np.float32(1e12), np.int32(0), np.float32(1))
    drawn = keras.ops.convert_to_numpy(next_token(mask_special_tokens(logits), uniform, *numbers))
    assert drawn.min() == 3
