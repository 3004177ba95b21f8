"""The models that come with the package, as a user meets them."""

import json

import pytest

from keras_seq import presets
from keras_seq.cli import main
from keras_seq.errors import UserError
from keras_seq.models import load_model
from keras_seq.tasks import get_task, load_corpus


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


def test_shakespeare_is_what_it_says():
    path = presets.model_path("shakespeare")
    assert path.stat().st_size <= 3_000_000
    told = json.loads((path.parent / "preset.json").read_text("utf-8"))
    assert told["metrics"]["loss"] <= 1.45
    assert told["command"].startswith("keras-seq train generate --data tinyshakespeare")
    texts = load_corpus("generate", "tinyshakespeare").held_out
    found = get_task("generate").evaluate(load_model(path), texts, "tinyshakespeare")
    assert found["loss"] == pytest.approx(told["metrics"]["loss"], abs=1e-3)


def test_a_sentence_in_german(capsys):
    assert main(["predict", "preset:en-de", "A man in a blue shirt is standing on a ladder."]) == 0
    german = capsys.readouterr().out
    assert german.startswith("Ein Mann in einem blauen ")
    assert "Leiter" in german
    text = "Two dogs are running in the snow. A woman is reading a book. " * 12
    assert main(["predict", "preset:en-de", text, "--num-beams", "1"]) == 0  # in sentences
    assert capsys.readouterr().out.count("Hunde") == 12


def test_en_de_is_what_it_says():
    """On the first of its held-out sentences; it says so of all of them."""
    path = presets.model_path("en-de")
    assert path.stat().st_size <= 6_000_000
    told = presets.about("en-de")
    assert told["licence"] == "CC BY-NC-SA 4.0"
    assert told["metrics"]["examples"] == 1_000
    model = load_model(path)
    assert model.count_params() <= 3_000_000
    pairs = load_corpus("translate", "multi30k", source="en", target="de").held_out.take(range(200))
    found = get_task("translate").evaluate(model, pairs, "multi30k", num_beams=1)
    assert found["chrf"] == pytest.approx(told["metrics"]["chrf"], abs=3)
    assert found["cut"] == 0


def test_sentiment_is_what_it_says(capsys):
    """On the first of its held-out reviews; it says so of all of them."""
    path = presets.model_path("sentiment")
    assert load_model("preset:sentiment").labels == ["negative", "positive"]
    assert path.stat().st_size <= 3_000_000
    told = presets.about("sentiment")
    assert told["metrics"]["examples"] == 5_000
    assert told["metrics"]["accuracy"] >= 0.87
    held_out = load_corpus("classify", "movie_reviews").held_out
    some = held_out.take(range(1_000))
    found = get_task("classify").evaluate(load_model(path), some, "movie_reviews")
    assert found["accuracy"] == pytest.approx(told["metrics"]["accuracy"], abs=0.03)
    assert main(["predict", "preset:sentiment", "A wonderful film: funny, warm, a joy."]) == 0
    assert "\npositive " in capsys.readouterr().out


def test_there_is_no_other():
    with pytest.raises(
        UserError, match="presets are en-de, sentiment, shakespeare. Received: 'milton'"
    ):
        presets.model_path("preset:milton")
