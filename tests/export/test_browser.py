"""Exported files in LiteRT.js and onnxruntime-web, in Chromium."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import export
from benchmarks.gallery_models import GALLERY
from export.bundle import PARITY
from export.parity import load_reference

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
def installed():
    """Node's packages and Chromium; CI has both, so that nothing is skipped there."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium or not shutil.which("npm"):
        message = "Needs Chromium and npm: apt install chromium npm; CHROMIUM names another browser"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=WEB, check=True)
    return chromium


def test_a_sample_of_the_gallery_in_the_browser(installed, tmp_path):
    requests, wanted = [], []
    for name in SAMPLE:
        manifest = export.export(GALLERY[name](), tmp_path / name, ["tflite", "onnx"])
        inputs, expected = load_reference(tmp_path / name / PARITY)
        fixed = manifest["signatures"]["predict"]["inputs"][0]["shape"][0]
        rows = fixed if isinstance(fixed, int) else 1
        sizes = manifest["formats"]["tflite"]["sizes"]
        for format, file in (("tflite", "tflite/model.tflite"), ("onnx", "onnx/predict.onnx")):
            given = {}
            for key, array in inputs["predict"].items():
                array = array[-rows:]
                if "L" in sizes and array.ndim == 2 and array.dtype == np.uint8:
                    array = np.pad(array, [(0, 0), (0, sizes["L"] - array.shape[1])])
                given[key] = {
                    "dtype": array.dtype.name,
                    "shape": list(array.shape),
                    "data": array.ravel().tolist(),
                }
            requests.append(
                {"format": format, "file": str(tmp_path / name / file), "inputs": given}
            )
            wanted.append({key: array[-rows:] for key, array in expected["predict"].items()})
    (tmp_path / "requests.json").write_text(json.dumps(requests), "utf-8")
    process = subprocess.run(
        ["node", "run.mjs", str(tmp_path / "requests.json")],
        cwd=WEB,
        env={**os.environ, "CHROMIUM": installed},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    answers = json.loads(process.stdout)
    assert len(answers) == len(requests) == 2 * len(SAMPLE)
    for request, answer, expected in zip(requests, answers, wanted, strict=True):
        assert "error" not in answer, (request["file"], answer)
        assert sorted(answer["outputs"]) == sorted(expected), request["file"]
        for name, array in expected.items():
            np.testing.assert_allclose(
                answer["outputs"][name], array.ravel(), atol=1e-5, err_msg=request["file"]
            )
