"""`keras-seq demo` on few reviews."""

import argparse
import dataclasses
import json

import pytest

from keras_seq.cli import demo
from keras_seq.errors import UserError
from keras_seq.tasks import get_task

pytestmark = pytest.mark.slow


def test_it_trains_exports_proves_and_predicts(few_reviews_file, tmp_path, capsys):
    task = get_task("classify")
    small = {"tokenizer": "bytes", "max_length": 66, "hidden_dim": 16, "epochs": 1}
    task = dataclasses.replace(
        task,
        default_data=str(few_reviews_file),
        settings={"lstm": task.settings["lstm"].replace(**small)},
    )
    arguments = argparse.Namespace(task=task, output=tmp_path / "demo", overwrite=False)
    assert demo.run_demo(arguments) == 0
    printed = capsys.readouterr().out
    for words in ("accuracy", "100.00%", "classify_text", *task.demo_texts):
        assert words in printed
    manifest = json.loads((tmp_path / "demo" / "bundle" / "manifest.json").read_text())
    assert {one["format"] for one in manifest["variants"]} == {"saved_model", "tflite", "onnx"}
    with pytest.raises(UserError, match="overwrite=True"):
        demo.run_demo(arguments)
