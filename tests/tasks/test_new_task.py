"""A task from outside: one folder and one registration, and every command knows it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow

PACKAGE = '''
"""Counts the words of a text."""

from dataclasses import dataclass

from keras_seq._lazy import LazyFunction
from keras_seq.data.corpus import Corpus, LabelledTexts
from keras_seq.data.reading import read_columns
from keras_seq.data.source import DataSource
from keras_seq.options import option
from keras_seq.tasks import Task
from keras_seq.tasks.prediction import PredictionOptions
from keras_seq.tasks.text_settings import TextSettings


@dataclass(frozen=True)
class CountSource(DataSource):
    count_column: str = option("count", "column of the number of words", kw_only=True)

    def read(self):
        columns = ("text", self.count_column)
        return LabelledTexts(*read_columns(self.name_or_path, columns, ("--data", "--count-column")))

    def split(self):
        train, held_out = self.read().hold_out(20)
        return Corpus(name="words", train=train, held_out=held_out)


@dataclass(frozen=True, kw_only=True)
class CountSettings(TextSettings):
    tokenizer: str = "bytes"
    loudness: int = option(1, "how many exclamation marks are printed", group="model")


@dataclass(frozen=True, kw_only=True)
class CountOptions(PredictionOptions):
    shout: bool | None = option(None, "print the answer with a mark", group="counting")


def print_metrics(metrics):
    print(f"mean error {metrics['error']:.2f} on {metrics['examples']}")


def select_texts(corpus, count):
    return corpus.held_out.texts[:count], "held-out texts of words"


TASK = Task(
    name="count",
    summary="learn to count words",
    description="Trains a model that counts the words of a text.",
    model=LazyFunction("toy_task.model:WordCounter"),
    data=CountSource,
    settings={"transformer": CountSettings(max_length=32, hidden_dim=16, epochs=1)},
    prepare=LazyFunction("toy_task.model:prepare"),
    evaluate=LazyFunction("toy_task.model:evaluate"),
    print_metrics=print_metrics,
    prediction=CountOptions,
    predict=LazyFunction("toy_task.model:predict"),
    comparison_texts=select_texts,
)
'''

MODULE = """
import keras
import numpy as np
from keras import ops

from keras_seq.backbones import TransformerBackbone
from keras_seq.data.batches import HeldOutBatches, TextBatches
from keras_seq.data.tokens import tokenize_cached
from keras_seq.embeddings import token_mask
from keras_seq.signature import Entry, Signature, TensorSpec
from keras_seq.tasks.text_model import SignatureMixin, TextModel
from keras_seq.text.token_rows import tokenize_to_matrix
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.training.session import TrainingPlan


class CounterSignatures:
    def __init__(self, model):
        self.model = model

    def signatures(self, sizes=None):
        model = self.model

        def count_text(text, length):
            ids = model.tokenizer.token_ids(text, length, model.max_length)
            return {"count": ops.squeeze(model(ids), axis=1)}

        text = TensorSpec("text", "uint8", ("B", "L")), TensorSpec("length", "int32", ("B",))
        return (Signature("count_text", text, (TensorSpec("count", "float32", ("B",)),), count_text),)

    def signature_inputs(self, texts, sizes):
        text, length = pack_texts([truncate(to_bytes(t), sizes["L"]) for t in texts])
        return {"count_text": {"text": text, "length": length}}

    def random_inputs(self, count, seed, sizes):
        return self.signature_inputs(["a b " * (i % 5) for i in range(count)], sizes)

    def limits(self, sizes):
        return {"T": self.model.max_length, "L": 8 * self.model.max_length}


@keras.saving.register_keras_serializable("toy")
class WordCounter(SignatureMixin, TextModel):
    task = "count"
    entry = Entry("count_text")
    signatures_class = CounterSignatures

    def __init__(self, backbone, tokenizer, max_length, embedding=None, **options):
        parts = {"max_length": max_length, "embedding": embedding}
        super().__init__(backbone, tokenizer, parts, **options)

    def assemble(self, **parts):
        self.assemble_base(**parts)
        self.head = keras.layers.Dense(1, name="head")
        self.build_parts()
        self.head.build((None, self.backbone.hidden_dim))
        self.built = True

    def call(self, ids, training=False):
        mask = token_mask(ids)
        hidden = self.backbone(self.embedding(ids), mask=mask, training=training)
        return self.head(ops.sum(hidden * ops.cast(mask, hidden.dtype)[:, :, None], axis=1))


def prepare(session):
    settings, corpus = session.settings, session.corpus
    train, validation = corpus.train.hold_out(20)
    tokenizer = session.load_or_train_tokenizer(train.texts)
    backbone = TransformerBackbone(settings.hidden_dim, 1, 2, max_length=settings.max_length)
    model = WordCounter(backbone, tokenizer, settings.max_length)
    tokens = tokenize_cached(tokenizer, train.texts)

    def counts(examples):
        return np.array([[float(label)] for label in examples.labels], "float32")

    sizes = settings.batch_size, settings.max_length
    return TrainingPlan(
        model=model,
        batches=TextBatches(tokens, counts(train), *sizes, settings.seed),
        validation=HeldOutBatches(
            tokenize_cached(tokenizer, validation.texts), counts(validation), *sizes
        ),
        fingerprint=tokens.fingerprint(),
        loss="mse",
    )


def evaluate(model, examples, name):
    ids = tokenize_to_matrix(model.tokenizer, examples.texts, model.max_length)
    found = ops.convert_to_numpy(model(ids))[:, 0]
    error = np.abs(found - np.array([float(label) for label in examples.labels]))
    return {"data": name, "error": float(error.mean()), "examples": len(examples)}


def predict(model, texts, options, as_json):
    ids = tokenize_to_matrix(model.tokenizer, texts, model.max_length)
    for text, count in zip(texts, ops.convert_to_numpy(model(ids))[:, 0]):
        print(f"{text}: {count:.1f}" + ("!" if options.shout else ""))
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """`command(*arguments)` runs `python -m …` where the package toy-task is installed."""
    folder = tmp_path_factory.mktemp("toy")
    package, information = folder / "toy_task", folder / "toy_task-1.0.dist-info"
    package.mkdir()
    information.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "model.py").write_text(MODULE)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-task\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[keras_seq.tasks]\ncount = toy_task:TASK\n")
    words = ["the", "film", "was", "long", "and", "dull", "but", "the", "music", "is", "fine"]
    rows = [" ".join(words[i % 7 : i % 7 + 1 + i % 4]) + f" {i}" for i in range(200)]
    lines = "".join(f"{row},{len(row.split())}\n" for row in rows)
    (folder / "words.csv").write_text("text,count\n" + lines)
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def start(*arguments, **options):
        program = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.Popen(program, cwd=folder, env=environment, text=True, **options)

    def run(*arguments):
        process = start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate()
        assert process.returncode == 0, err[-3000:]
        return out

    run.start = start
    return run


def test_every_command_knows_a_task_that_is_one_folder_and_one_registration(command):
    assert "learn to count words" in command("keras_seq", "train", "--help")
    options = command("keras_seq", "train", "count", "--help")
    assert all(name in options for name in ("--count-column", "--loudness N", "(default: 32)"))
    assert "--shout" in command("keras_seq", "predict", "--help")

    run = ["--data", "words.csv", "--output", "run", "--epochs", "2"]
    assert "mean error" in command("keras_seq", "train", "count", *run)
    evaluation = json.loads(command("keras_seq", "evaluate", "run", "--json"))
    assert evaluation["examples"] == 20
    assert "on 200" in command("keras_seq", "evaluate", "run", "--data", "words.csv")
    answer = command("keras_seq", "predict", "run", "three short words", "--shout")
    assert answer.startswith("three short words: ")
    assert answer.endswith("!\n")

    command("export", "run", "--format", "tflite", "onnx", "--output", "bundle")
    manifest = json.loads(command("json.tool", "bundle/manifest.json"))
    assert manifest["task"] == "count"
    assert manifest["entry"]["signature"] == "count_text"
    assert manifest["parity"]["inputs"] == "20 held-out texts of words"
    assert "100.00%" in command("export", "check", "bundle")
    assert "count_text" in command("export", "inspect", "bundle")

    server = command.start(
        "export", "serve", "bundle", "--http-port", "0", "--grpc-port", "0", stderr=subprocess.PIPE
    )
    try:
        assert _ask(server) == pytest.approx(float(answer.split(": ")[1].rstrip("!\n")), abs=0.06)
    finally:
        server.terminate()
        server.wait(30)


def _ask(server):
    """Returns the count that the served bundle answers."""
    for line in server.stderr:
        if "127.0.0.1:" in line:
            port = line.split("127.0.0.1:")[1].split(",")[0].strip()
            break
    text = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["three short words"]}
    reply = httpx.post(f"http://127.0.0.1:{port}/v2/models/bundle/infer", json={"inputs": [text]})
    reply.raise_for_status()
    return reply.json()["outputs"][0]["data"][0]
