"""Whole translations inside each format, through the format's own runtime, against Keras."""

import numpy as np
import pytest

import export
from export import formats
from keras_seq.backbones import RecurrentEncoderDecoder, TransformerEncoderDecoder
from keras_seq.errors import UserError
from keras_seq.models import Translator
from keras_seq.text import ByteTokenizer
from tests.export.helpers import parity_figures
from tests.random_weights import randomize_weights

READ, NEW, BEAMS = 10, 8, 3
TEXTS = ["a man", "two dogs", "", "é", "x" * 40]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("rnn", marks=pytest.mark.slow),
        pytest.param("lstm", marks=[pytest.mark.slow, pytest.mark.full]),
        pytest.param("transformer", marks=pytest.mark.slow),
    ],
)
def exported(request, tmp_path_factory):
    """A translator with drawn weights, which says what no training would."""
    kind, tokenizer = request.param, ByteTokenizer()
    if kind == "transformer":
        backbone = TransformerEncoderDecoder(16, 1, 2, max_length=21)
    else:
        backbone = RecurrentEncoderDecoder(16, kind)
    model = Translator(backbone, tokenizer, 20, "en", "de")
    randomize_weights(model, 4)
    folder = tmp_path_factory.mktemp("bundles") / kind
    sizes = {"max_length": READ, "max_new_tokens": NEW, "num_beams": BEAMS}
    batch = 2 if kind == "lstm" else 1  # rows of a TFLite call
    return model, folder, export.export(model, folder, texts=TEXTS, batch=batch, **sizes)


def test_the_manifest_proves_every_signature_in_every_format(exported):
    _, folder, manifest = exported
    names = {"encode", "decode", "translate", "translate_text", "attend_text"}
    assert set(parity_figures(manifest)) == set(formats.NAMES)
    for name, figures in parity_figures(manifest).items():
        assert names <= figures.keys()
        assert all(figure["within_tolerance"] for figure in figures.values())
        found = formats.module(name).operators(folder)
        assert not [o for o in found if o.startswith(("CUSTOM", "FLEX", "VARIABLE"))]
    assert manifest["languages"] == ["en", "de"]
    assert manifest["limits"]["max_length"] == READ
    assert manifest["limits"]["num_beams"] == BEAMS


@pytest.mark.parametrize("format", formats.NAMES)
def test_text_in_text_out_as_in_keras(exported, format):
    model, folder, _ = exported
    loaded = export.load(folder, format)
    texts = ["a man", "", "two dogs"]
    for penalty in (0.6, 0.0):
        found = loaded.translate_text(texts, length_penalty=penalty)
        expected = model.hypotheses(
            texts, num_beams=BEAMS, length_penalty=penalty, max_new_tokens=NEW
        )
        for i, row in enumerate(expected):
            for k, hypothesis in enumerate(row):
                text = bytes(found["text"][i, k, : found["length"][i, k]])
                assert text.decode("utf-8", "replace") == hypothesis.text
                assert found["scores"][i, k] == pytest.approx(hypothesis.score, abs=1e-4)
                assert bool(found["ended"][i, k]) == hypothesis.ended
    with pytest.warns(UserWarning, match="1 of 2 texts are too long: their end .* up to 30 bytes"):
        long = loaded.translate_text(["a man", "x" * 40])
    assert long["unread"].tolist() == [0, 30]
    cut = loaded.translate_text(texts, max_new_tokens=2)
    assert cut["length"].max() <= 2


@pytest.mark.parametrize("format", formats.NAMES)
def test_white_space_around_and_bytes_that_are_no_characters(exported, format):
    model, folder, _ = exported
    loaded = export.load(folder, format)
    texts = [" a man\n", "\t\r\n \v\f", "two\tdogs ", b"\xff\xfe a", "a man", "\n\n  bb   c"]
    found = loaded.translate_text(texts)
    expected = model.hypotheses(texts, num_beams=BEAMS, max_new_tokens=NEW)
    for i, row in enumerate(expected):
        text = bytes(found["text"][i, 0, : found["length"][i, 0]])
        assert text.decode("utf-8", "replace") == row[0].text
        assert found["scores"][i, 0] == pytest.approx(row[0].score, abs=1e-4)
    assert found["length"][1].max() == 0
    np.testing.assert_array_equal(found["text"][0], found["text"][4])


@pytest.mark.parametrize("format", formats.NAMES)
def test_a_loop_of_the_callers_over_decode(exported, format):
    """What a server does that joins requests: `encode`, then `decode` step after step."""
    model, folder, _ = exported
    loaded = export.load(folder, format)
    (row,) = model.tokenizer.encode(["two dogs"])
    state = loaded.encode(token_ids=np.array([row], "int32"))
    memory = {name: state[name] for name in state if name not in ("logits",)}
    tokens = []
    for _ in range(NEW):
        logits = state.pop("logits")
        logits[:, :3] = -np.inf
        token = int(logits[0].argmax())
        if token == 3:
            break
        tokens.append(token)
        state = loaded.decode(token=np.array([token], "int32"), **{**memory, **state})
    (expected,) = model.translate(["two dogs"], num_beams=1, max_new_tokens=NEW)
    assert model.tokenizer.decode([tokens]) == [expected]


@pytest.mark.parametrize("format", formats.NAMES)
def test_where_a_translation_looks(exported, format):
    model, folder, _ = exported
    loaded = export.load(folder, format)
    text, translation = "two dogs", "zwei é"
    found = loaded.attend_text([text, ""], [translation, "x"])
    expected = model.attention(text, translation)["weights"]  # (T, S) with an end of each
    bytes_read, bytes_written = len(text.encode()), len(translation.encode())
    weights = found["weights"][0]
    np.testing.assert_allclose(
        weights[: bytes_written + 1, : bytes_read + 1], expected, atol=1e-5, rtol=0
    )
    np.testing.assert_allclose(weights[:, bytes_read + 1 :], 0, atol=1e-7)
    # Every byte is a token.
    ends = np.minimum(np.arange(1, READ + 1), bytes_read)
    assert found["text_ends"][0].tolist() == ends.tolist()
    assert found["translation_ends"].tolist()[1] == [1] * NEW
    with pytest.warns(UserWarning, match="too long"):
        long = loaded.attend_text(["a"], ["x" * (NEW + 9)])
    assert long["unread"].tolist() == [9]


def test_refused(exported):
    model, folder, _ = exported
    loaded = export.load(folder, "onnx")
    with pytest.raises(UserError, match=f"max_new_tokens is from 1 to {NEW}"):
        loaded.translate_text(["a"], max_new_tokens=NEW + 1)
    with pytest.raises(UserError, match="length_penalty is 0 or more"):
        loaded.translate_text(["a"], length_penalty=-1.0)
    for sizes, words in (
        ({"max_length": 21}, "max_length is from 1 to the 20"),
        ({"max_new_tokens": 21}, "max_new_tokens is from 1 to the 20"),
        ({"num_beams": 131}, "num_beams is from 1 to 130"),
    ):
        with pytest.raises(UserError, match=words):
            export.export(model, folder.parent / "no", **sizes)
