"""What a user's own Keras model can be, how it is named, and what is said where it cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import export
from benchmarks.gallery_models import Subclassed
from export import formats
from export.cli import main
from export.keras_model import KerasModel
from keras_seq.errors import UserError
from keras_seq.tasks.loading import find_model

X = np.random.default_rng(0).normal(size=(5, 9, 4)).astype("float32")


def tagger(**options):
    model = keras.Sequential(
        [
            keras.Input((None, 4), name="frames"),
            layers.LSTM(8, return_sequences=True),
            layers.GRU(6, return_sequences=True),
            layers.Dense(2, name="tags"),
        ]
    )
    return model


def shapes(tensors):
    return {t.name: (t.dtype, t.shape) for t in tensors}


def test_names_and_open_sizes():
    left = keras.Input((None,), dtype="int32", name="left words")
    right = keras.Input((None, 3), name="right")
    embedded = layers.Embedding(10, 3)(left)
    outputs = {
        "both": layers.Concatenate(axis=1)([embedded, right]),
        "shorter": layers.Conv1D(2, 3)(right),
        "same": layers.Dense(2)(embedded),
    }
    (signature,) = KerasModel(keras.Model([left, right], outputs)).signatures()
    assert shapes(signature.inputs) == {
        "left_words": ("int32", ("B", "T_left_words")),
        "right": ("float32", ("B", "T_right", 3)),
    }
    assert shapes(signature.outputs) == {
        "both": ("float32", ("B", "both_1", 3)),
        "same": ("float32", ("B", "T_left_words", 2)),
        "shorter": ("float32", ("B", "shorter_1", 2)),
    }


def test_open_sizes_stay_open(tmp_path):
    model = tagger()
    export.export(model, tmp_path / "b", dynamic=("batch", "length"))
    for format in formats.NAMES:
        loaded = export.load(tmp_path / "b", format)
        for rows, steps in ((1, 1), (3, 2), (2, 9), (5, 8)):
            x = X[:rows, :steps]
            np.testing.assert_allclose(loaded.predict(frames=x)["tags"], model(x), atol=1e-5)


def test_a_fixed_length_is_not_padded(tmp_path):
    """Zeros after a sequence are steps to a model without masks."""
    model = tagger()
    export.export(model, tmp_path / "b", ["tflite"], max_length=9)
    loaded = export.load(tmp_path / "b")
    np.testing.assert_allclose(loaded.predict(frames=X)["tags"], model(X), atol=1e-5)
    with pytest.raises(UserError, match="T is 9 in the tflite file.*Received: 5.*max_length=5"):
        loaded.predict(frames=X[:, :5])


def test_a_sample_is_what_is_compared(tmp_path, capsys):
    tagger().save(tmp_path / "m.keras")
    np.savez(tmp_path / "s.npz", frames=X)
    arguments = [tmp_path / "m.keras", "--sample", tmp_path / "s.npz", "--output", tmp_path / "b"]
    assert main([*map(str, arguments), "--format", "onnx"]) == 0
    assert "a sample of 5 inputs" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "b")]) == 0
    assert main(["inspect", str(tmp_path / "b")]) == 0
    assert "LSTM 1" in capsys.readouterr().out
    assert "predict(frames=…)" in (tmp_path / "b" / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"other": X}, ["frames", "other"]),
        ({"frames": X[:, :, :3]}, ["frames", "[5, 9, 3]"]),
        ({"frames": X[0]}, ["frames", "[9, 4]"]),
    ],
)
def test_a_sample_that_does_not_fit(tmp_path, capsys, sample, words):
    tagger().save(tmp_path / "m.keras")
    np.savez(tmp_path / "s.npz", **sample)
    arguments = [tmp_path / "m.keras", "--sample", tmp_path / "s.npz", "--output", tmp_path / "b"]
    assert main([*map(str, arguments), "--max-length", "9"]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words)
    assert not (tmp_path / "b").exists()


def test_texts_and_arrays_are_not_mixed_up(runs, tmp_path):
    model, _ = find_model(runs["rnn"])
    with pytest.raises(UserError, match="TextClassifier.*sample"):
        export.export(model, tmp_path / "b", sample={"x": X})
    with pytest.raises(UserError, match="frames.*sample=arrays"):
        export.export(tagger(), tmp_path / "b", texts=["…"], max_length=9)


def test_a_length_that_nobody_gave_stays_open(tmp_path):
    inputs = [keras.Input((None, 4), name=name) for name in ("left", "right")]
    outputs = [layers.LSTM(3)(tensor) for tensor in inputs]
    model = keras.Model(inputs, layers.Dense(2, name="y")(layers.Concatenate()(outputs)))
    manifest = export.export(model, tmp_path / "b")
    assert [variant["sizes"] for variant in manifest["variants"]] == [{"B": 1}, {}, {}]
    for format in formats.NAMES:
        loaded = export.load(tmp_path / "b", format)
        for steps in (1, 5, 9):
            pair = X[:, :steps], X[:, : steps + 2][:, ::-1].copy()
            np.testing.assert_allclose(loaded.predict(*pair)["y"], model(pair), atol=1e-5)


def test_names_do_not_depend_on_what_was_built_before(tmp_path):
    def build():
        inputs = keras.Input((9, 4))
        hidden = layers.LSTM(3, return_sequences=True)(inputs)
        hidden = layers.LSTM(3, return_sequences=True)(hidden)
        return keras.Model(inputs, [layers.Dense(1)(hidden), layers.Dense(2)(hidden)])

    build()
    model = build()
    assert model.layers[1].name != "lstm"
    signatures = KerasModel(model, stream=1).signatures()
    predict, stream = signatures
    assert list(shapes(predict.inputs)) == ["input_layer"]
    assert list(shapes(predict.outputs)) == ["dense", "dense_1"]
    states = ["state_lstm_h", "state_lstm_c", "state_lstm_1_h", "state_lstm_1_c"]
    assert list(shapes(stream.inputs)) == ["input_layer", *states]


def test_one_input_needs_no_name(tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), layers.GRU(3, return_sequences=True)])
    export.export(model, tmp_path / "b", ["onnx"], stream=True)
    loaded = export.load(tmp_path / "b")
    (expected,) = loaded.predict(input_layer=X[:1]).values()
    np.testing.assert_allclose(expected, model(X[:1]), atol=1e-5)
    np.testing.assert_array_equal(*loaded.predict(X[:1]).values(), expected)
    for shape in ((1, 1, 4), (1, 4), (4,)):
        stream = loaded.open_stream()
        found = [*(next(iter(stream(frame.reshape(shape)).values())) for frame in X[0])]
        np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-5)
    with pytest.raises(UserError, match=r"takes input_layer without a name.*Received: 2"):
        loaded.predict(X, X)
    with pytest.raises(UserError, match="input_layer is given twice"):
        loaded.predict(X, input_layer=X)


def test_a_number_a_step(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 1)), layers.SimpleRNN(2), layers.Dense(1, name="y")]
    )
    export.export(model, tmp_path / "b", ["tflite"], stream=True)
    stream = export.load(tmp_path / "b").open_stream()
    found = [stream(number)["y"] for number in (0.5, -1.0, 2.0)]
    np.testing.assert_allclose(found[-1], model(np.array([[[0.5], [-1.0], [2.0]]])), atol=1e-5)


@pytest.mark.parametrize("form", ["dictionary", "tuple", "dataset"])
def test_a_sample_in_every_form(tmp_path, form):
    model = Pair()
    expected = model(X[:, 0], X[:, 1])
    samples = {
        "dictionary": {"left": X[:, 0], "right": X[:, 1]},
        "tuple": (X[:, 0], X[:, 1]),
        "dataset": tf.data.Dataset.from_tensor_slices({"left": X[:, 0], "right": X[:, 1]}).batch(5),
    }
    manifest = export.export(model, tmp_path / "b", ["onnx"], sample=samples[form])
    assert manifest["parity"]["inputs"] == "a sample of 5 inputs"
    found = export.load(tmp_path / "b").predict(X[:, 0], X[:, 1])["output"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_sample_of_one_input_is_an_array(tmp_path):
    data = tf.data.Dataset.from_tensor_slices((X, np.zeros(5))).batch(3)
    for sample, rows in ((X, 5), (data, 3)):
        manifest = export.export(tagger(), tmp_path / "b", ["onnx"], sample=sample, overwrite=True)
        assert manifest["parity"]["inputs"] == f"a sample of {rows} inputs"
    with pytest.raises(UserError, match=r"takes left, right. The sample has 3 arrays"):
        export.export(Pair(), tmp_path / "c", sample=(X, X, X))


@pytest.mark.slow
def test_own_layers_are_imported(tmp_path):
    """In a process of its own, where nothing has registered them."""
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('mine')\n"
        "class Double(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2 * x\n"
    )
    make = (
        "import mine, keras; i = keras.Input((3,), name='x')\n"
        "keras.Model(i, mine.Double(name='y')(i)).save('m.keras')"
    )
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True, capture_output=True)
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-m", "export", "m.keras", "--format", "tflite", "--output", "b"]
    options = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    options["env"] = {**os.environ, "PYTHONPATH": root}
    failed = subprocess.run(command, **options)
    assert failed.returncode == 2
    assert "--import" in failed.stderr
    assert "Double" in failed.stderr
    done = subprocess.run([*command, "--import", "mine.py"], **options)
    assert done.returncode == 0, done.stderr
    loaded = export.load(tmp_path / "b")
    np.testing.assert_array_equal(loaded.predict(x=[[1, 2, 3]])["y"], [[2, 4, 6]])


@pytest.mark.slow
def test_h5_and_subclassed_files(tmp_path):
    model = keras.Sequential([keras.Input((9, 4)), layers.GRU(3), layers.Dense(1, name="y")])
    model.compile("adam", "mse")
    model.save(tmp_path / "m.h5")
    assert main([str(tmp_path / "m.h5"), "--output", str(tmp_path / "h5")]) == 0
    (name,) = export.load(tmp_path / "h5").signatures["predict"].inputs
    np.testing.assert_allclose(
        export.load(tmp_path / "h5").predict(**{name.name: X})["y"], model(X), atol=1e-5
    )
    model = Subclassed()
    ids = np.arange(50).reshape(2, 25)
    expected = model(ids)["label"]
    model.save(tmp_path / "s.keras")
    assert main([str(tmp_path / "s.keras"), "--output", str(tmp_path / "s")]) == 0
    found = export.load(tmp_path / "s").predict(token_ids=ids)["label"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


class Pair(keras.Model):
    """Of such a call Keras notes the first argument alone."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, left, right):
        return self.dense(left) - self.dense(right)


def test_a_sample_tells_what_a_subclassed_model_takes(tmp_path):
    model = Pair()
    expected = model(X[:, 0], X[:, 1])
    with pytest.raises(UserError, match="left, right.*sample=arrays"):
        export.export(model, tmp_path / "b")
    sample = {"left": X[:, 0], "right": X[:, 1]}
    manifest = export.export(model, tmp_path / "b", ["onnx"], sample=sample)
    assert manifest["parity"]["inputs"] == "a sample of 5 inputs"
    np.testing.assert_allclose(
        export.load(tmp_path / "b").predict(**sample)["output"], expected, atol=1e-6
    )


def test_files_that_cannot_be_loaded_say_what_to_do(tmp_path, capsys):
    inputs = keras.Input((3,))
    keras.Model(inputs, layers.Lambda(lambda x: x)(inputs)).save(tmp_path / "lambda.keras")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF")
    for name, word in (
        ("lambda.keras", "--trust"),
        ("old", "SavedModel"),
        ("cut.h5", "is damaged"),
    ):
        assert main([str(tmp_path / name), "--output", str(tmp_path / "b")]) == 2
        assert word in capsys.readouterr().err
        assert not (tmp_path / "b").exists()
