"""The models that come with the package, as a user meets them."""

import json

import pytest

from keras_seq import data, presets
from keras_seq.cli import main
from keras_seq.errors import UserError
from keras_seq.models import load_model
from keras_seq.training import evaluate_generator


def test_shakespeare_answers(capsys):
    arguments = ["predict", "preset:shakespeare", "--prompt", "ROMEO:", "--temperature", "0.5"]
    assert main([*arguments, "--seed", "1", "--max-new-tokens", "120"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ROMEO:\n")
    words = text.removeprefix("ROMEO:").lower().replace("\n", " ").split(" ")
    known = set(data.load_texts("tinyshakespeare").train[0].lower().replace("\n", " ").split(" "))
    assert sum(word in known for word in words) > 0.8 * len(words)


def test_shakespeare_is_what_it_says():
    path = presets.model_path("shakespeare")
    assert path.stat().st_size <= 3_000_000
    told = json.loads((path.parent / "preset.json").read_text("utf-8"))
    assert told["metrics"]["loss"] <= 1.45
    assert told["command"].startswith("keras-seq train generate --data tinyshakespeare")
    # A tenth of the held-out text, which is easier or harder than the rest by little.
    text = data.load_texts("tinyshakespeare").held_out[0][:11_000]
    found = evaluate_generator(load_model(path), [text], "a part")
    assert abs(found["loss"] - told["metrics"]["loss"]) < 0.1


def test_there_is_no_other():
    with pytest.raises(UserError, match="presets are shakespeare. Received: 'milton'"):
        presets.model_path("preset:milton")
