"""The examples of docstrings, run as they stand."""

import ast
import re
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

import export
import keras_seq

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def examples():
    for package in ("keras_seq", "export"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Module):
                    blocks = re.findall(r"```python\n(.*?)```", ast.get_docstring(node) or "", re.S)
                    for block in blocks:
                        name = f"{path.relative_to(ROOT)}:{getattr(node, 'name', '')}"
                        yield pytest.param(textwrap.dedent(block), id=name)


@pytest.fixture(scope="module")
def streaming_bundle(tmp_path_factory):
    """A folder with a bundle that has a stream, as examples call it."""
    folder = tmp_path_factory.mktemp("example")
    inputs = keras.Input((None, 3), name="audio")
    model = keras.Model(inputs, keras.layers.GRU(2, return_sequences=True)(inputs))
    export.export(model, folder / "bundle", ["onnx"], stream=True, max_length=4)
    return folder


@pytest.mark.parametrize("example", examples())
def test_example(example, streaming_bundle, monkeypatch):
    monkeypatch.chdir(streaming_bundle)
    microphone = np.zeros((5, 3), "float32")
    names = {"keras": keras, "keras_seq": keras_seq, "export": export, "microphone": microphone}
    exec(compile(example, "example", "exec"), names)
