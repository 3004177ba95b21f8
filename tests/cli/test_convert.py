"""`keras-seq convert`, and `python -m export` of the same files, as a user calls them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from export import formats, load
from export.cli import main as export_main
from keras_seq.cli import main
from tests.keras2.models import LAYERS as L
from tests.keras2.models import fill, ids, noise


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """An encoder and a decoder of Keras 2, with gates and operators of its own."""
    folder = tmp_path_factory.mktemp("keras2")
    source, target = L.Input((6,), name="source"), L.Input((5,), name="target")
    embedding = L.Embedding(20, 4, mask_zero=True)
    _, *states = L.LSTM(4, return_state=True, recurrent_activation="hard_sigmoid")(
        embedding(source)
    )
    x = L.LSTM(4, return_sequences=True)(embedding(target), initial_state=states)
    outputs = L.Dense(3, activation="softmax")(x * 2.0 + tf.reduce_mean(x, axis=1, keepdims=True))
    model = fill(tf_keras.Model([source, target], outputs))
    model.save(folder / "old.h5")
    return model, folder


def test_a_keras_3_file_is_written_and_proven(translator, capsys):
    model, folder = translator
    new = folder / "new.keras"
    assert main(["convert", str(folder / "old.h5"), str(new)]) == 0
    printed = capsys.readouterr().err
    assert "Converted from Keras 2.21.0: its answers differ by at most" in printed
    assert "hard_sigmoid_keras2" in printed
    again = keras.saving.load_model(new)
    inputs = [tf.constant(ids(4, 6)), tf.constant(ids(4, 5))]
    np.testing.assert_allclose(again(inputs), model(inputs), atol=1e-6)
    assert main(["convert", str(folder / "old.h5"), str(new)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["convert", str(folder / "old.h5"), str(new), "--overwrite"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["new.keras", "old.h5"]


def test_what_convert_refuses(translator, tmp_path, capsys):
    _, folder = translator
    old = str(folder / "old.h5")
    for arguments, message in (
        ([old, "new.h5"], "ends in .keras"),
        ([str(tmp_path / "none.h5"), "new.keras"], "does not exist"),
        ([str(tmp_path / "new.keras")], "Name the model to read"),
    ):
        assert main(["convert", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_an_old_file_is_exported_as_it_is(translator, tmp_path):
    model, folder = translator
    bundle = tmp_path / "bundle"
    assert (
        export_main([str(folder / "old.h5"), "--format", "onnx", "tflite", "--output", str(bundle)])
        == 0
    )
    inputs = {"source": ids(4, 6), "target": ids(4, 5)}
    expected = model([tf.constant(value) for value in inputs.values()]).numpy()
    operators = formats.module("onnx").operators(bundle)
    assert "LSTM" in operators  # hard_sigmoid is an activation of the node
    assert "Loop" not in operators
    for format in ("onnx", "tflite"):
        loaded = load(bundle, format)
        rows = [
            loaded.run("predict", **{name: value[row : row + 1] for name, value in inputs.items()})
            for row in range(4)
        ]
        answers = np.concatenate([next(iter(row.values())) for row in rows])
        np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_a_function_builds_what_is_exported(tmp_path, capsys):
    (tmp_path / "train.py").write_text(
        "import keras\n"
        "def build():\n"
        "    return keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2)])\n"
    )
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2)])
    model.save_weights(tmp_path / "w.weights.h5")
    arguments = [
        "--import",
        f"{tmp_path / 'train.py'}:build",
        "--weights",
        str(tmp_path / "w.weights.h5"),
    ]
    assert main(["convert", str(tmp_path / "new.keras"), *arguments]) == 0
    again = keras.saving.load_model(tmp_path / "new.keras")
    np.testing.assert_allclose(again(noise(2, 4, 3)), model(noise(2, 4, 3)), atol=1e-6)
    bundle = str(tmp_path / "bundle")
    assert export_main(["--format", "onnx", "--output", bundle, *arguments]) == 0
    answer = load(bundle, "onnx").run(
        "predict", **{load(bundle, "onnx").signatures["predict"].inputs[0].name: noise(2, 4, 3)}
    )
    np.testing.assert_allclose(next(iter(answer.values())), model(noise(2, 4, 3)), atol=1e-5)
    capsys.readouterr()
    assert (
        export_main([str(tmp_path / "new.keras"), "--output", bundle, "--overwrite", *arguments])
        == 2
    )
    assert "Leave one of them out" in capsys.readouterr().err
