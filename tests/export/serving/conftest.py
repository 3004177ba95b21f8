"""Small bundles with drawn weights, and a server in a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import export
from keras_seq.backbones import (
    RecurrentBackbone,
    TransformerBackbone,
    TransformerEncoderDecoder,
)
from keras_seq.models import TextClassifier, TextGenerator, Translator
from keras_seq.text import ByteTokenizer

ROOT = Path(__file__).resolve().parents[3]


def drawn_weights(model):
    generator = np.random.default_rng(4)
    for variable in model.trainable_variables:
        variable.assign(generator.normal(size=variable.shape) / 2)
    return model


def models():
    tokenizer = ByteTokenizer()
    size = tokenizer.vocabulary_size
    return {
        "mood": TextClassifier(
            RecurrentBackbone(size, 16, "lstm", bidirectional=True), tokenizer, ["bad", "good"], 40
        ),
        "bard": TextGenerator(
            TransformerBackbone(size, 16, 2, 2, max_length=64, positions="rotary", causal=True),
            tokenizer,
            64,
        ),
        "en-de": Translator(
            TransformerEncoderDecoder(size, 16, 2, 2, max_length=21), tokenizer, 20
        ),
    }


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    for name, model in models().items():
        options = {"max_new_tokens": 24, "max_length": 40} if name == "bard" else {}
        export.export(drawn_weights(model), folder / name, formats=["onnx"], **options)
    return folder


class Server:
    """A running server: its ports, its process, what it has said."""

    def __init__(self, process, http, grpc):
        self.process, self.http_port, self.grpc_port = process, http, grpc
        self.url = f"http://127.0.0.1:{http}"


@contextlib.contextmanager
def serving(*bundles, options=(), log=None):
    """A server of `bundles` while the `with` block runs; what it logs goes to `log`."""
    command = [sys.executable, "-m", "export", "serve", *map(str, bundles)]
    command += ["--http-port", "0", "--grpc-port", "0", *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=log or subprocess.DEVNULL,
        text=True,
    )
    try:
        found = re.search(r"127\.0\.0\.1:(\d+), gRPC on port (\d+)", process.stdout.readline())
        assert found, process.communicate(timeout=10)
        yield Server(process, *map(int, found.groups()))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def server(bundles):
    with serving(*(bundles / name for name in ("mood", "bard", "en-de"))) as server:
        yield server
