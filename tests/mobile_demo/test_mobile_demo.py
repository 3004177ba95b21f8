"""The app as it is built, in Chromium: the tests themselves are the `*.test.mjs` beside this."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import export
from keras_seq.tasks import load_corpus
from keras_seq.uniforms import random_uniforms

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "mobile_demo"
INPUTS = 200


@pytest.fixture(scope="module")
def installed(chromium):
    return chromium(DEMO)


@pytest.fixture(scope="module")
def built(tmp_path_factory, installed):
    """What `npm run build` makes of a fresh checkout: the bundles, too."""
    copy = tmp_path_factory.mktemp("app") / "mobile_demo"
    own = ("node_modules", "dist", "models", ".venv")
    shutil.copytree(DEMO, copy, ignore=shutil.ignore_patterns(*own))
    (copy / "node_modules").symlink_to(DEMO / "node_modules")
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(DEMO.parent)}
    subprocess.run(["npm", "run", "build"], cwd=copy, env=environment, check=True, timeout=900)
    return copy / "dist"


def continued(loaded, prompt, seed, temperature, length):
    """What follows a prompt: a token, and then all the others in one call."""
    uniforms = random_uniforms(1, 200, seed)
    found = loaded.prefill_text([prompt], uniform=uniforms[:, 0], temperature=temperature)
    following = loaded.decode_text(
        uniforms=np.roll(uniforms, -1, axis=1),
        max_new_tokens=length - 1,
        temperature=temperature,
        **loaded.signatures["decode_text"].select_inputs(found),
    )
    parts = [part["text"][0, : part["length"][0]].tobytes() for part in (found, following)]
    return b"".join(parts).decode("utf-8", "replace")


@pytest.fixture(scope="module")
def expected(built, tmp_path_factory):
    """What Python answers to the inputs of each task."""
    models = built / "models"
    sentiment, shakespeare, en_de = (
        export.load(models / name, "tflite", threads=1)
        for name in ("sentiment", "shakespeare", "en-de")
    )
    reviews = [
        text[:400] for text in load_corpus("classify", "movie_reviews").held_out.texts[:INPUTS]
    ]
    probabilities = sentiment.classify_text(reviews)["probabilities"].tolist()
    (play,) = load_corpus("generate", "tinyshakespeare").held_out
    written = []
    for i in range(INPUTS):
        start = 37 * i
        one = {
            "prompt": play[start : start + i % 50],
            "seed": i * 7919,
            "temperature": (0.0, 0.5, 0.8, 1.0)[i % 4],
            "length": 24,
        }
        written.append({**one, "text": continued(shakespeare, **one)})
    pairs = load_corpus("translate", "multi30k", source="en", target="de").held_out
    sources = [text.strip() for text in pairs.sources if text.count(".") == 1][:INPUTS]
    found = en_de.translate_text(sources)
    translated = []
    for source, texts, lengths in zip(sources, found["text"], found["length"], strict=True):
        texts = [row[:n].tobytes().decode() for row, n in zip(texts, lengths, strict=True)]
        translated.append({"source": source, "alternatives": list(dict.fromkeys(texts))})
    path = tmp_path_factory.mktemp("expected") / "expected.json"
    manifest = json.loads((models / "en-de" / "manifest.json").read_text("utf-8"))
    precision = {name: [about["precision"]] for name, about in manifest["formats"].items()}
    content = {
        "formats": {"litert": precision["tflite"], "onnx": precision["onnx"]},
        "sentiment": [
            {"text": text, "probabilities": row}
            for text, row in zip(reviews, probabilities, strict=True)
        ],
        "write": written,
        "translate": translated,
    }
    path.write_text(json.dumps(content), "utf-8")
    return path


def run(installed, built, file, **environment):
    """Runs a file of tests; what it says is the error, if it fails."""
    given = {**os.environ, "CHROMIUM": installed, "BUILT": str(built), **environment}
    process = subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(HERE / file)],
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    print(process.stdout)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_the_screens(installed, built):
    run(installed, built, "screens.test.mjs")


def test_what_is_kept_on_the_device(installed, built):
    run(installed, built, "keeping.test.mjs")


def test_what_the_browser_measures(installed, built):
    run(installed, built, "figures.test.mjs")


def test_it_answers_as_python_does(installed, built, expected):
    run(installed, built, "parity.test.mjs", EXPECTED=str(expected))
