"""The models that come with the package, as a user meets them."""

import json

import numpy as np
import pytest

from keras_seq import presets
from keras_seq.cli import main
from keras_seq.data.corpus import Texts
from keras_seq.errors import UserError
from keras_seq.models import load_model
from keras_seq.tasks import get_task, load_corpus

# What the presets computed before their embeddings left the backbones, by commit 01b14dc.
ANSWERS = {
    "sentiment": [0.808567, 0.191433, 0.143072, 0.856928, 0.79076, 0.20924, 0.919809, 0.080191],
    "shakespeare": [
        -8.367166,
        -7.307233,
        -8.374077,
        -7.461694,
        -8.131828,
        -7.277742,
        -8.144425,
        -7.19695,
        -8.093493,
        -7.202288,
        -7.992327,
        -7.13149,
        -8.470881,
        -7.568513,
        -8.077461,
        -7.217924,
        -8.027571,
        -7.175337,
        -9.042151,
        -8.076864,
        -8.494417,
        -7.484926,
        -9.766792,
        -8.588795,
    ],
    "en-de": [
        -0.228402,
        -1.435634,
        -0.10021,
        -2.253477,
        -0.464191,
        -1.076505,
        0.679028,
        -0.679488,
        -0.356842,
        -0.705815,
        -0.377045,
        -0.686374,
        0.003872,
        0.335903,
        0.161331,
        -0.265412,
        -0.222826,
        -0.849009,
        0.182702,
        -1.610532,
        -0.006676,
        0.840206,
        -0.39524,
        -0.703618,
    ],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_converted_preset_computes_what_it_did(name):
    model = load_model(f"preset:{name}")
    size = model.embedding.vocabulary_size
    ids = np.random.default_rng(0).integers(0, size, (4, 20)).astype("int32")
    ids[1, 7:] = 0
    output = np.asarray(model((ids, ids) if name == "en-de" else ids))
    found = output[:, 3::8, :: size // 2] if output.ndim == 3 else output
    np.testing.assert_allclose(found.ravel(), ANSWERS[name], atol=1e-5)


def test_shakespeare_answers(capsys):
    arguments = ["predict", "preset:shakespeare", "--prompt", "ROMEO:", "--temperature", "0.5"]
    assert main([*arguments, "--seed", "1", "--max-new-tokens", "120"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ROMEO:\n")
    words = text.removeprefix("ROMEO:").lower().replace("\n", " ").split(" ")
    known = set(
        load_corpus("generate", "tinyshakespeare")
        .train.texts[0]
        .lower()
        .replace("\n", " ")
        .split(" ")
    )
    assert sum(word in known for word in words) > 0.8 * len(words)


@pytest.mark.slow
def test_shakespeare_is_what_it_says(full):
    """On parts of its held-out text; it says so of all of it."""
    path = presets.model_path("shakespeare")
    assert path.stat().st_size <= 3_000_000
    told = json.loads((path.parent / "preset.json").read_text("utf-8"))
    assert told["metrics"]["loss"] <= 1.45
    assert told["command"].startswith("keras-seq train generate --data tinyshakespeare")
    texts = load_corpus("generate", "tinyshakespeare").held_out
    if not full:
        (text,) = texts.texts
        texts = Texts([text[start : start + 4_000] for start in range(0, len(text), 20_000)])
    found = get_task("generate").evaluate(load_model(path), texts, "tinyshakespeare")
    assert found["loss"] == pytest.approx(told["metrics"]["loss"], abs=1e-3 if full else 0.05)


@pytest.mark.slow
def test_a_sentence_in_german(capsys):
    assert main(["predict", "preset:en-de", "A man in a blue shirt is standing on a ladder."]) == 0
    german = capsys.readouterr().out
    assert german.startswith("Ein Mann in einem blauen ")
    assert "Leiter" in german
    text = "Two dogs are running in the snow. A woman is reading a book. " * 12
    assert main(["predict", "preset:en-de", text, "--num-beams", "1"]) == 0  # in sentences
    assert capsys.readouterr().out.count("Hunde") == 12


@pytest.mark.slow
def test_en_de_is_what_it_says(full):
    """On the first of its held-out sentences; it says so of all of them."""
    path = presets.model_path("en-de")
    assert path.stat().st_size <= 6_000_000
    told = presets.about("en-de")
    assert told["licence"] == "CC BY-NC-SA 4.0"
    assert told["metrics"]["examples"] == 1_000
    model = load_model(path)
    assert model.count_params() <= 3_000_000
    pairs = load_corpus("translate", "multi30k", source="en", target="de").held_out
    if not full:
        pairs = pairs.take(range(100))
    found = get_task("translate").evaluate(model, pairs, "multi30k", num_beams=4 if full else 1)
    assert found["chrf"] == pytest.approx(told["metrics"]["chrf"], abs=0.2 if full else 3)
    assert found["cut"] == 0


@pytest.mark.slow
def test_sentiment_is_what_it_says(full, capsys):
    """On the first of its held-out reviews; it says so of all of them."""
    path = presets.model_path("sentiment")
    assert load_model("preset:sentiment").labels == ["negative", "positive"]
    assert path.stat().st_size <= 3_000_000
    told = presets.about("sentiment")
    assert told["metrics"]["examples"] == 5_000
    assert told["metrics"]["accuracy"] >= 0.87
    held_out = load_corpus("classify", "movie_reviews").held_out
    texts = held_out if full else held_out.take(range(1_000))
    found = get_task("classify").evaluate(load_model(path), texts, "movie_reviews")
    assert found["accuracy"] == pytest.approx(
        told["metrics"]["accuracy"], abs=1e-3 if full else 0.03
    )
    assert main(["predict", "preset:sentiment", "A wonderful film: funny, warm, a joy."]) == 0
    assert "\npositive " in capsys.readouterr().out


def test_there_is_no_other():
    with pytest.raises(
        UserError, match="presets are en-de, sentiment, shakespeare. Received: 'milton'"
    ):
        presets.model_path("preset:milton")
