"""Bundles of the trained runs, and a browser that runs files of bundles."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import export
from keras_seq.training.run import find_model

WEB = Path(__file__).resolve().parents[1] / "web"


@pytest.fixture(scope="session")
def bundles(once, runs, reviews):
    """Of each backbone, proven on 1,000 held-out reviews."""

    def make(folder):
        for backbone, path in runs.items():
            model, run = find_model(path)
            export.export(
                model,
                folder / backbone,
                texts=reviews.held_out.texts[:1000],
                texts_name="held-out reviews",
                metrics=run.evaluation,
            )

    folder = once("bundles", make)
    return {backbone: folder / backbone for backbone in runs}


def _request(folder, format, signature, inputs):
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
