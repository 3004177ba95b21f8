"""Bundles of the trained runs, and a browser that runs files of bundles."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import export
from export import parity
from export.bundle import find_variant, read_manifest
from keras_seq.backbones import (
    RecurrentBackbone,
    TransformerBackbone,
    TransformerEncoderDecoder,
)
from keras_seq.models import TextClassifier, TextGenerator, Translator
from keras_seq.tasks.loading import find_model
from keras_seq.text import ByteTokenizer
from tests.random_weights import randomize_weights

parity.LATENCY_CALLS = 1  # No test is about time.

OPTIONS = {
    "mood": {},
    "bard": {"max_new_tokens": 24, "max_length": 40},
    # Some of a translator's: exporting them takes long.
    "en-de": {"only": ["encode", "decode", "translate_text"], "num_beams": 2},
}
WEB = Path(__file__).resolve().parents[1] / "web"


class Bundles:
    """Bundles by backbone, each exported when a test first asks for it."""

    def __init__(self, once, runs, texts):
        self._once, self._runs, self._texts = once, runs, texts

    def __getitem__(self, backbone):
        def make(folder):
            model, run = find_model(self._runs[backbone])
            options = {"texts_name": "held-out reviews", "metrics": run.evaluation}
            export.export(model, folder / "bundle", texts=self._texts, **options)

        return self._once(f"bundle-{backbone}", make) / "bundle"


@pytest.fixture(scope="session")
def bundles(once, runs, reviews, full):
    """A bundle of each backbone's run by name, proven on held-out reviews."""
    return Bundles(once, runs, reviews.held_out.texts[: 1000 if full else 100])


def make_models():
    tokenizer = ByteTokenizer()
    return {
        "mood": TextClassifier(
            RecurrentBackbone(16, "lstm", bidirectional=True), tokenizer, ["bad", "good"], 40
        ),
        "bard": TextGenerator(
            TransformerBackbone(16, 1, 2, max_length=64, positions="rotary", causal=True),
            tokenizer,
            64,
        ),
        "en-de": Translator(TransformerEncoderDecoder(16, 1, 2, max_length=21), tokenizer, 20),
    }


@pytest.fixture(scope="session")
def served(once):
    """The folder of small ONNX bundles: a classifier, a generator and a translator."""

    def make(folder):
        for name, model in make_models().items():
            export.export(
                randomize_weights(model, 4), folder / name, formats=["onnx"], **OPTIONS[name]
            )

    return once("served", make)


def _request(folder, format, signature, inputs):
    """A request to the bundle in `folder`; texts are padded to what TFLite's file has."""
    file = "tflite/model.tflite" if format == "tflite" else f"onnx/{signature}.onnx"
    sizes = find_variant(read_manifest(folder), "tflite", "float32")["sizes"]
    given = {}
    for key, array in inputs.items():
        if "L" in sizes and array.ndim == 2 and array.dtype == np.uint8:
            array = np.pad(array, [(0, 0), (0, sizes["L"] - array.shape[1])])
        given[key] = {
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "data": array.ravel().tolist(),
        }
    weights = folder / "onnx" / "weights.bin"
    return {
        "format": format,
        "file": str(folder / file),
        "signature": signature,
        "inputs": given,
        "weights": str(weights) if format == "onnx" and weights.is_file() else None,
    }


@pytest.fixture(scope="session")
def in_the_browser(chromium, tmp_path_factory):
    """`in_the_browser(folder, signature, inputs)`: what LiteRT.js and onnxruntime-web answer in
    Chromium to a list of inputs, flat arrays by the names of the outputs, for each of them.
    """
    browser = chromium(WEB)

    def answers(folder, signature, inputs):
        formats = ("tflite", "onnx")
        requests = [_request(folder, f, signature, i) for f in formats for i in inputs]
        path = tmp_path_factory.mktemp("browser") / "requests.json"
        path.write_text(json.dumps(requests), "utf-8")
        process = subprocess.run(
            ["node", "run.mjs", str(path)],
            cwd=WEB,
            env={**os.environ, "CHROMIUM": browser},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert process.returncode == 0, process.stderr
        found = json.loads(process.stdout)
        assert len(found) == len(requests)
        for request, answer in zip(requests, found, strict=True):
            assert "error" not in answer, (request["file"], answer)
        outputs = [answer["outputs"] for answer in found]
        return {"LiteRT.js": outputs[: len(inputs)], "onnxruntime-web": outputs[len(inputs) :]}

    return answers
