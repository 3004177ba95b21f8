"""What is no model is told what it is, and its reader what to do."""

import pickle

import pytest

from keras_seq.errors import UserError, speak_command_line
from keras_seq.tasks.loading.files import ModelFile, identify

CONTENTS = {
    "notes.txt": (b"hello", r"is a text file, not a Keras model"),
    "model.keras": (b"hello", r"is damaged.*Copy it again"),
    "empty.keras": (b"", r"is empty\. Copy it again"),
    "cut.keras": (b"PK\x03\x04rest", r"was cut short\. Copy it again"),
    "model.pkl": (pickle.dumps({"a": 1}), r"is a pickle, which runs code"),
    "model.onnx": (b"\x08\x07", r"is an ONNX file already"),
    "model.tflite": (b"\x1c\0\0\0TFL3", r"is a TFLite file already"),
    "renamed": (b"\x1c\0\0\0TFL3", r"is a TFLite file already"),
    "model.pt": (b"abc", r"is a file of PyTorch"),
    "model.safetensors": (b"\x10" + bytes(7) + b'{"a":{}}', r"holds arrays alone.*--import FILE:FUNCTION"),
    "checkpoint.index": (b"\0\0", r"part of a TensorFlow checkpoint"),
    "graph.pb": (b"\x0a\x0b", r"is a graph of TensorFlow. Of a SavedModel name the folder"),
    "train.py": (b"import keras", r"--import .*train\.py:FUNCTION"),
    "other.json": (b"{}", r"is JSON, but no Keras model"),
    "broken.json": (b"{", r"is not valid JSON"),
    "web.json": (b'{"modelTopology": {}}', r"is a TensorFlow\.js model"),
    "data.bin": (bytes(range(128, 160)), r"is a file"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_what_a_file_is_and_what_to_do(name, tmp_path):
    content, message = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    with speak_command_line(), pytest.raises(UserError, match=message):
        identify(tmp_path / name)


def test_what_a_folder_is(tmp_path):
    with pytest.raises(UserError, match="is an empty folder"):
        identify(tmp_path)
    (tmp_path / "notes").touch()
    with pytest.raises(UserError, match="is a folder without a model"):
        identify(tmp_path)
    (tmp_path / "old.h5").touch()
    with pytest.raises(UserError, match=r"Name a file in it: .*old\.h5"):
        identify(tmp_path)
    (tmp_path / "checkpoint").touch()
    with pytest.raises(UserError, match="holds TensorFlow checkpoints"):
        identify(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    assert identify(tmp_path) is ModelFile.SAVED_MODEL
    (tmp_path / "manifest.json").touch()
    with pytest.raises(UserError, match="is a bundle"):
        identify(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        identify(tmp_path / "none.h5")
