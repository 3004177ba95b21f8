"""Whole generations inside each format, through the format's own runtime, against Keras."""

import keras
import numpy as np
import pytest

import export
from export import cli, formats, runtime
from export.formats import tflite
from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.decoding import sampling_margins
from keras_seq.errors import UserError
from keras_seq.models import TextGenerator
from keras_seq.tasks.generate.answers import read_texts
from keras_seq.text import ByteTokenizer, SentencePieceTokenizer
from keras_seq.text.token_rows import pad_rows
from keras_seq.uniforms import random_uniforms
from tests.export.helpers import parity_figures
from tests.random_weights import randomize_weights

PROMPT, NEW = 12, 20
TEXTS = ["First Citizen: before we proceed", "Speak, speak.", "", "é", "the people"]


def made(kind):
    """A generator with drawn weights, which says what no training would."""
    tokenizer = ByteTokenizer()
    if kind == "lstm":
        words = [
            "the",
            "people",
            "speak",
            "before",
            "we",
            "proceed",
            "any",
            "further",
            "hear",
            "me",
        ]
        tokenizer = SentencePieceTokenizer.train([" ".join(words[i:]) for i in range(9)] * 5, 300)
    if kind == "transformer":
        backbone = TransformerBackbone(16, 2, 2, max_length=64, positions="rotary", causal=True)
    else:
        backbone = RecurrentBackbone(16, kind, num_layers=2 if kind == "lstm" else 1)
    model = TextGenerator(backbone, tokenizer, 64, tie_embeddings=kind != "rnn")
    return randomize_weights(model, 4)


@pytest.fixture(
    scope="module",
    params=[
        "rnn",
        pytest.param("transformer", marks=pytest.mark.slow),
        pytest.param("lstm", marks=pytest.mark.full),
    ],
)
def exported(request, tmp_path_factory):
    model = made(request.param)
    folder = tmp_path_factory.mktemp("bundles") / request.param
    batch = 2 if request.param == "rnn" else 1  # rows of a TFLite call
    manifest = export.export(
        model, folder, texts=TEXTS, max_length=PROMPT, max_new_tokens=NEW, batch=batch
    )
    return model, folder, manifest


def test_the_manifest_proves_every_signature_in_every_format(exported):
    _, folder, manifest = exported
    names = {"prefill", "decode", "generate", "prefill_text", "decode_text", "generate_text"}
    assert set(parity_figures(manifest)) == set(formats.NAMES)
    for name, figures in parity_figures(manifest).items():
        assert names <= figures.keys()
        assert all(figure["within_tolerance"] for figure in figures.values())
        assert figures["generate"]["inputs"] == 2 * len(TEXTS)
        found = formats.module(name).operators(folder)
        assert not [o for o in found if o.startswith(("CUSTOM", "FLEX", "VARIABLE"))]
    assert manifest["limits"] == {
        "max_length": PROMPT,
        "max_new_tokens": NEW,
        "max_bytes": manifest["limits"]["max_bytes"],
        "max_stops": 4,
        "max_stop_bytes": 32,
    }


@pytest.mark.parametrize("format", formats.NAMES)
def test_text_in_text_out_as_in_keras(exported, format):
    model, folder, _ = exported
    loaded = export.load(folder, format)
    prompts = ["the", "", "we proceed"]
    for settings in (
        {"temperature": 0.0},
        {"temperature": 0.9, "seed": 3},
        {"temperature": 1.5, "top_k": 5, "top_p": 0.8, "seed": 4},
    ):
        expected = model.generate(prompts, NEW, **settings)
        found = loaded.generate_text(prompts, **settings)
        texts = [
            bytes(row[:n]).decode("utf-8", "replace")
            for row, n in zip(found["text"], found["length"], strict=True)
        ]
        assert texts == expected
    shorter = loaded.generate_text(prompts, max_new_tokens=5, temperature=0.9, seed=3)
    ids = loaded.generate(
        token_ids=np.zeros((1, 1), "int32"), length=[0], max_new_tokens=5, temperature=0.9, seed=3
    )
    assert ids["token_ids"].shape == (1, NEW)
    assert ids["length"][0] <= 5
    text = model.tokenizer.decode_bytes([ids["token_ids"][0, : ids["length"][0]].tolist()])[0]
    first = loaded.generate_text([""], max_new_tokens=5, temperature=0.9, seed=3)
    assert bytes(first["text"][0, : first["length"][0]]) == text
    assert shorter["length"][0] <= found["length"][0] + 5 * 64


@pytest.mark.parametrize("format", formats.NAMES)
def test_penalties_and_stop_texts_as_in_keras(exported, format):
    model, folder, _ = exported
    loaded = export.load(folder, format)
    prompts = ["the", "", "we proceed"]
    shortened = 0
    for settings in (
        {"temperature": 0.0},
        {"temperature": 0.0, "repetition_penalty": 1.4},
        {"temperature": 1.1, "repetition_penalty": 0.7, "seed": 8},
        {"temperature": 1.5, "top_k": 50, "repetition_penalty": 2.0, "seed": 4},
    ):
        whole = model.generate(prompts, NEW, **settings)
        assert read_texts(loaded.generate_text(prompts, **settings)) == whole
        clean = max("\ufffd".join(whole).split("\ufffd"), key=len)
        for stop in (
            ["no one says this"],
            [clean[-1:]],
            # Across tokens; one in another, and several that begin or end with the same.
            [clean[1:4], clean[2:4], clean[1:3], clean[:2]],
        ):
            stop = [text for text in stop if text]
            expected = model.generate(prompts, NEW, stop=stop, **settings)
            found = loaded.generate_text(prompts, stop=stop, **settings)
            assert read_texts(found) == expected, stop
            shortened += sum(map(len, whole)) > sum(map(len, expected))
            if len(stop) == 1:
                alone = loaded.generate_text(prompts, stop=stop[0], **settings)
                assert read_texts(alone) == expected
    assert shortened >= 3  # The test would prove nothing.


@pytest.mark.parametrize("format", formats.NAMES)
def test_a_loop_of_the_callers_over_decode(exported, format):
    """What a server does that joins requests: `prefill`, then `decode` step after step."""
    model, folder, _ = exported
    loaded = export.load(folder, format)
    (row,) = model.tokenizer.encode(["the people"])
    prompt = np.array([row[:PROMPT]], "int32")
    length = np.array([prompt.shape[1]])
    whole = loaded.generate(token_ids=prompt, length=length, temperature=0.0)
    state = loaded.prefill(token_ids=prompt, length=length)
    tokens = []
    for _ in range(int(whole["length"][0])):
        logits = state.pop("logits")
        logits[:, :3] = -np.inf
        tokens.append(int(logits[0].argmax()))
        state = loaded.decode(token=np.array(tokens[-1:], "int32"), **state)
    assert tokens == whole["token_ids"][0, : len(tokens)].tolist()


@pytest.mark.parametrize("format", formats.NAMES)
@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_a_text_in_parts_is_the_whole(exported, format, temperature):
    _, folder, _ = exported
    loaded = runtime.load(folder, format, threads=1)
    uniforms = random_uniforms(len(TEXTS), NEW, 5)
    sampling = {"temperature": temperature, "top_k": 30, "top_p": 0.95, "repetition_penalty": 1.2}
    whole = loaded.generate_text(TEXTS, uniforms=uniforms, **sampling)
    outputs = loaded.prefill_text(TEXTS, uniform=uniforms[:, 0], **sampling)
    texts = [row[:n].tobytes() for row, n in zip(outputs["text"], outputs["length"], strict=True)]
    done = 1
    for count in (1, 7, 2, NEW):
        state = loaded.signatures["decode_text"].select_inputs(outputs)
        count = min(count, NEW - done)
        following = np.zeros_like(uniforms)
        following[:, :count] = uniforms[:, done : done + count]
        outputs = loaded.decode_text(max_new_tokens=count, uniforms=following, **sampling, **state)
        parts = zip(outputs["text"], outputs["length"], strict=True)
        texts = [text + row[:n].tobytes() for text, (row, n) in zip(texts, parts, strict=True)]
        done += count
    wanted = zip(whole["text"], whole["length"], strict=True)
    assert texts == [row[:n].tobytes() for row, n in wanted]


def test_a_cache_is_written_no_further_than_it_reaches(exported):
    model, folder, _ = exported
    loaded = runtime.load(folder, "tflite", threads=1)
    outputs = loaded.prefill_text(["speak " * 20], uniform=np.zeros(1), temperature=0.0)
    length = 0
    for _ in range(2):
        state = loaded.signatures["decode_text"].select_inputs(outputs)
        outputs = loaded.decode_text(uniforms=np.zeros((1, NEW)), temperature=0.0, **state)
        length = int(outputs["length"][0])
    if model.is_bounded:
        assert length == 0
        assert (outputs["position"] == PROMPT + NEW).all()
    else:
        assert length > 0


def test_what_follows_of_a_row_does_not_depend_on_the_others(exported):
    """Rows that end, or have no place left, while others go on: alone they give all the same."""
    model, _, _ = exported
    named = {s.name: s.function for s in model.signatures({"T": PROMPT, "N": NEW})}
    rows = [[5] * PROMPT, [9], [], [7, 8, 9], [6] * (PROMPT - 1)]
    first = named["prefill"](pad_rows(rows, PROMPT), np.array([len(row) for row in rows], "int32"))
    state = {name: keras.ops.convert_to_numpy(value) for name, value in first.items()}
    del state["logits"]
    # The second has ended before; the first has fewer places than it is asked for.
    token = np.array([10, 0, 11, 12, 13], "int32")
    given = {"token": token, "uniforms": random_uniforms(5, NEW, 1), **state}
    numbers = {"max_new_tokens": np.int32(NEW), "temperature": np.float32(2)}
    numbers |= {"top_k": np.int32(0), "top_p": np.float32(1)}
    numbers |= {"repetition_penalty": np.float32(1.5)}
    given["previous_tokens"] = (
        np.arange(model.tokenizer.vocabulary_size) == token[:, None]
    ).astype("int32")
    together = named["decode_text"](**given, **numbers)
    together = {name: keras.ops.convert_to_numpy(value) for name, value in together.items()}
    for i in range(5):
        alone = named["decode_text"](**{k: v[i : i + 1] for k, v in given.items()}, **numbers)
        for name, value in alone.items():
            found = keras.ops.convert_to_numpy(value)[0]
            np.testing.assert_allclose(together[name][i], found, atol=1e-5, err_msg=f"{name} {i}")
    assert together["length"][1] == 0
    assert together["length"][2] > 0
    if model.is_bounded:
        assert together["position"][0] == PROMPT + NEW
        assert together["token"][0] > 0  # Cut, not ended.


@pytest.mark.slow
def test_rows_of_a_cache_in_tflite(tmp_path):
    """Rows of one call stand at different places of the cache."""
    model = made("transformer")
    signature = next(s for s in model.signatures({"T": PROMPT, "N": NEW}) if s.name == "generate")
    tflite.write([signature], tmp_path, {"B": 3, "T": PROMPT, "N": NEW})
    run = tflite.Runner(tmp_path, 1)
    rows = model.tokenizer.encode(["the people", "", "we"])
    token_ids = np.zeros((3, PROMPT), "int32")
    for i, row in enumerate(rows):
        token_ids[i, : len(row)] = row
    numbers = {"max_new_tokens": NEW, "top_k": 0}
    found = run(
        "generate",
        {
            "token_ids": token_ids,
            "length": np.array([len(row) for row in rows], "int32"),
            **{name: np.array(value, "int32") for name, value in numbers.items()},
            "temperature": np.array(0, "float32"),
            "top_p": np.array(1, "float32"),
            "repetition_penalty": np.array(1, "float32"),
            "uniforms": np.zeros((3, NEW), "float32"),
        },
    )
    texts = model.tokenizer.decode(
        row[:n].tolist() for row, n in zip(found["token_ids"], found["length"], strict=True)
    )
    assert texts == model.generate(["the people", "", "we"], NEW, temperature=0.0)


def test_a_long_prompt_is_read_from_its_end(exported):
    model, folder, manifest = exported
    loaded = export.load(folder, "onnx")
    text = "we proceed any further, hear me speak before the people " * 3
    (ids,) = model.tokenizer.encode([text[-manifest["limits"]["max_bytes"] :]])
    with pytest.warns(UserWarning, match="1 of 1 texts are too long: their beginning was not read"):
        found = loaded.generate_text([text], temperature=0.0)
    (read,) = model.tokenizer.decode([ids[-PROMPT:]])
    assert found["unread"].tolist() == [len(text) - len(read)]
    expected = loaded.generate(
        token_ids=np.array([ids[-PROMPT:]], "int32"), length=[PROMPT], temperature=0.0
    )
    new = expected["token_ids"][0, : expected["length"][0]].tolist()
    assert bytes(found["text"][0, : found["length"][0]]) == model.tokenizer.decode_bytes([new])[0]


REFUSED = (
    ({"temperature": -1.0}, "temperature is 0 or more. Received: -1"),
    ({"temperature": float("nan")}, "temperature"),
    ({"temperature": float("inf")}, "temperature is a finite number, 0 or more. Received: inf"),
    ({"top_p": 0.0}, "top_p is above 0, at most 1. Received: 0"),
    ({"top_p": 1.5}, "top_p"),
    ({"top_k": -1}, "top_k is 0 or more"),
    ({"repetition_penalty": 0.0}, "repetition_penalty is above 0. Received: 0"),
    (
        {"stop": list("abcde")},
        "stop is at most 4 texts of at most 32 bytes each. Received: 5, the longest of 1 bytes",
    ),
    ({"stop": "é" * 17}, "at most 32 bytes each. Received: 1, the longest of 34 bytes"),
    ({"stop": 3}, "give a text or a list of texts"),
    (
        {"max_new_tokens": 0},
        f"max_new_tokens is from 1 to {NEW}, the size N .max_new_tokens.. Received: 0",
    ),
    ({"max_new_tokens": NEW + 1}, "max_new_tokens"),
    ({"seed": -1}, "seed"),
    ({"uniforms": np.ones((1, NEW), "float32")}, "uniforms"),
)


def test_refused_values(exported):
    _, folder, _ = exported
    loaded = export.load(folder, "onnx")
    for given, words in REFUSED:
        with pytest.raises(UserError, match=words):
            loaded.generate_text(["the"], **given)


def test_refused_tokens_and_sizes(exported):
    model, folder, _ = exported
    loaded = export.load(folder, "tflite")
    with pytest.raises(UserError, match="token_ids is from 0 to"):
        loaded.generate(token_ids=[[-1]], length=[1])
    with pytest.raises(
        UserError, match="length is from 0 to 1, the size T .max_length.. Received: 2"
    ):
        loaded.generate(token_ids=[[70]], length=[2])
    with pytest.raises(UserError, match=f"T .max_length. is at most {PROMPT}"):
        loaded.generate(token_ids=np.full((1, PROMPT + 1), 70), length=[3])
    if model.is_bounded:
        with pytest.raises(UserError, match="64 positions.*60 tokens of a prompt.*20 new"):
            export.export(model, folder / "no", max_length=60, max_new_tokens=20)


def test_a_token_may_differ_only_next_to_a_boundary(exported):
    """Numbers put on the boundaries of the first distribution are excused, others are not."""
    model, _, _ = exported
    signature = next(s for s in model.signatures({"T": PROMPT, "N": NEW}) if s.name == "generate")
    logits, _ = model.prefill(np.zeros((1, 1), "int32"), np.zeros(1, "int32"), PROMPT + NEW)
    logits = keras.ops.convert_to_numpy(logits).astype("float64")
    logits[:, :3] = -np.inf
    p = np.exp(logits[0] - logits.max())
    reached = np.cumsum(p / p.sum())
    likely = int(np.argmax(p))
    edge, middle = reached[likely], reached[likely] - p[likely] / p.sum() / 2
    inputs = {
        "token_ids": np.zeros((2, PROMPT), "int32"),
        "length": np.zeros(2, "int32"),
        "temperature": np.float32(1),
        "top_k": np.int32(0),
        "top_p": np.float32(1),
        "repetition_penalty": np.float32(1),
        "uniforms": np.array([[edge], [middle]], "float32"),
    }
    outputs = {"token_ids": np.full((2, 1), likely, "int32"), "length": np.ones(2, "int32")}
    on, between = signature.margins(inputs, outputs)[:, 0]
    assert on < 1e-5 < between
    greedy = signature.margins({**inputs, "temperature": np.float32(0)}, outputs)
    assert np.isinf(greedy).all()
    assert sampling_margins(logits, np.array([middle]), 1.0, 0, 1.0)[0] == pytest.approx(
        between, rel=1e-2
    )


@pytest.mark.slow
def test_some_of_the_signatures(tmp_path):
    model = made("rnn")
    names = ["prefill_text", "decode_text"]
    options = {"only": ["interactive"], "texts": TEXTS}
    manifest = export.export(model, tmp_path / "b", ["tflite", "onnx"], **options)
    assert manifest["entry"] == {
        "signature": "prefill_text",  # The main one isn't there.
        "interactive": names,
        "defaults": {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0},
    }
    assert list(manifest["signatures"]) == names
    assert sorted(path.stem for path in (tmp_path / "b" / "onnx").glob("*.onnx")) == sorted(names)
    assert set(parity_figures(manifest)["tflite"]) == set(names)
    assert cli.main(["check", str(tmp_path / "b")]) == 0
    with pytest.raises(UserError, match="has the signatures prefill, decode, .* Received: encode"):
        export.export(model, tmp_path / "c", only=["encode"])
    assert not (tmp_path / "c").exists()
