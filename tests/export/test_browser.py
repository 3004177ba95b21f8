"""Exported files in LiteRT.js and onnxruntime-web, in Chromium."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import export
from benchmarks.gallery_models import GALLERY
from export.bundle import PARITY
from export.parity import load_reference
from keras_seq.training.run import find_model
from keras_seq.utf8 import packed, to_bytes

WEB = Path(__file__).resolve().parents[1] / "web"
SAMPLE = (
    "imdb_masked_lstm",
    "stacked_gru",
    "conv_lstm_2d",
    "custom_cell",
    "masked_seq2seq_lstm",
    "stateful_lstm",
    "text_vectorization",
    "transformer_causal",
)


@pytest.fixture(scope="module")
def installed(chromium):
    return chromium(WEB)


def in_the_browser(chromium, folder, requests):
    """What each runtime answers to the `requests`: arrays by the names of the outputs."""
    (folder / "requests.json").write_text(json.dumps(requests), "utf-8")
    process = subprocess.run(
        ["node", "run.mjs", str(folder / "requests.json")],
        cwd=WEB,
        env={**os.environ, "CHROMIUM": chromium},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    answers = json.loads(process.stdout)
    assert len(answers) == len(requests)
    for request, answer in zip(requests, answers, strict=True):
        assert "error" not in answer, (request["file"], answer)
    return [answer["outputs"] for answer in answers]


def request(folder, format, signature, inputs):
    """A request to the bundle in `folder`; texts are padded to what TFLite's file has."""
    file = "tflite/model.tflite" if format == "tflite" else f"onnx/{signature}.onnx"
    sizes = json.loads((folder / "manifest.json").read_text())["formats"]["tflite"]["sizes"]
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


def test_a_sample_of_the_gallery(installed, tmp_path):
    requests, wanted = [], []
    for name in SAMPLE:
        manifest = export.export(GALLERY[name](), tmp_path / name, ["tflite", "onnx"])
        inputs, expected = load_reference(tmp_path / name / PARITY)
        fixed = manifest["signatures"]["predict"]["inputs"][0]["shape"][0]
        rows = fixed if isinstance(fixed, int) else 1
        for format in ("tflite", "onnx"):
            given = {key: array[-rows:] for key, array in inputs["predict"].items()}
            requests.append(request(tmp_path / name, format, "predict", given))
            wanted.append({key: array[-rows:] for key, array in expected["predict"].items()})
    answers = in_the_browser(installed, tmp_path, requests)
    for asked, answer, expected in zip(requests, answers, wanted, strict=True):
        assert sorted(answer) == sorted(expected), asked["file"]
        for name, array in expected.items():
            np.testing.assert_allclose(
                answer[name], array.ravel(), atol=1e-5, err_msg=asked["file"]
            )


TEXTS = [
    "A wonderful film: warm, funny, and over far too soon.",
    "",
    "这部电影 mixed 👩\u200d👩\u200d👧 \u2581 <s>",
    b"\xff not \xe4\xbd a text",
]


def test_raw_text_in_the_browser(installed, runs, tmp_path):
    """The trained classifiers, from UTF-8 bytes to probabilities, in both runtimes."""
    requests, wanted = [], []
    for backbone in ("lstm", "transformer"):
        model, _ = find_model(runs[backbone])
        export.export(model, tmp_path / backbone, ["tflite", "onnx"])
        for text in TEXTS:
            rows, length = packed([to_bytes(text)])
            token_ids = np.zeros((1, 66), "int32")
            (ids,) = model.tokenizer.encode([text])
            token_ids[0, : len(ids)] = ids
            for format in ("tflite", "onnx"):
                given = {"text": rows, "length": length}
                requests.append(request(tmp_path / backbone, format, "classify_text", given))
                wanted.append(model.predict(token_ids, verbose=0))
    answers = in_the_browser(installed, tmp_path, requests)
    for asked, answer, expected in zip(requests, answers, wanted, strict=True):
        np.testing.assert_allclose(
            answer["probabilities"], expected.ravel(), atol=1e-5, err_msg=asked["file"]
        )
