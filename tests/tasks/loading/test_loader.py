"""Files of Keras 3: nothing is left out in silence, code is named, a user's own classes are found."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import keras_seq
from keras_seq.errors import UserError, speak_command_line
from keras_seq.tasks.loading.completeness import require_all_weights
from keras_seq.tasks.loading.imports import import_files
from keras_seq.tasks.loading.loader import Loader

SOURCE = '''
import keras
from keras import layers, ops


class Decoder(keras.Model):
    """A model of several arguments, which Keras cannot build from its file."""

    def __init__(self, **options):
        super().__init__(**options)
        self.embedding = layers.Embedding(10, 4)
        self.gru = layers.GRU(4)
        self.score = layers.Dense(2)

    def call(self, token, hidden):
        return self.score(self.gru(self.embedding(token), initial_state=hidden))


class Pool(layers.Layer):
    def call(self, x):
        return ops.max(x, axis=1)


def half(x):
    return 0.5 * x


def build():
    x = keras.Input((5, 3))
    return keras.Model(x, Pool()(layers.GRU(3, activation=half, return_sequences=True)(x)))


def fail():
    raise RuntimeError("no data")


def give_a_layer():
    return layers.Dense(2)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "mine.py").write_text(SOURCE)
    (folder / "other.py").write_text("class Other: ...\n")
    objects = import_files([str(folder / "mine.py")]).objects
    model = objects["build"]()
    model.save(folder / "own.keras")
    model.save_weights(folder / "own.weights.h5")
    decoder = objects["Decoder"]()
    inputs = {"token": np.array([[1, 2, 3]]), "hidden": np.ones((1, 4), "float32")}
    np.save(folder / "answer.npy", decoder(**inputs))
    decoder.save(folder / "decoder.keras")
    plain = keras.Sequential([keras.Input((4, 3)), layers.LSTM(3), layers.Dense(2)])
    plain.save(folder / "plain.keras")
    plain.save(folder / "plain.h5")
    plain.save_weights(folder / "plain.weights.h5")
    (folder / "plain.json").write_text(plain.to_json())
    return folder


def loader(folder, *names, **options):
    return Loader(import_files([str(folder / name) for name in names]), **options)


def test_classes_of_a_file_need_no_decorator(folder):
    model = loader(folder, "mine.py").load(folder / "own.keras")
    assert type(model.layers[-1]).__name__ == "Pool"


def test_a_class_that_is_missing_is_named(folder):
    with speak_command_line():
        with pytest.raises(UserError, match=r"has half, a class or function .*: --import FILE"):
            loader(folder).load(folder / "own.keras")
        with pytest.raises(UserError, match=r"has half.*other\.py does not have. It has: Other"):
            loader(folder, "other.py").load(folder / "own.keras")


def test_weights_that_keras_leaves_out_are_named(folder):
    with pytest.raises(UserError, match=r"the weights of embedding, gru, dense are in the file"):
        loader(folder, "mine.py").load(folder / "decoder.keras")


def test_a_sample_builds_what_keras_could_not(folder):
    inputs = {"token": np.array([[1, 2, 3]]), "hidden": np.ones((1, 4), "float32")}
    model = loader(folder, "mine.py", sample=inputs).load(folder / "decoder.keras")
    np.testing.assert_allclose(model(**inputs), np.load(folder / "answer.npy"), atol=1e-6)


def test_weights_that_the_file_lacks_are_named(folder):
    model = keras.saving.load_model(folder / "plain.keras")
    model.layers[1].set_weights([w + 1 for w in model.layers[1].get_weights()])
    with pytest.raises(UserError, match="of dense are in the file.*of dense are in the model"):
        require_all_weights(model, folder / "plain.keras")


@pytest.mark.parametrize("name", ["plain.keras", "plain.h5"])
def test_a_trained_models_optimizer_is_not_a_weight(name, folder, tmp_path):
    model = keras.saving.load_model(folder / "plain.keras")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 4, 3)), np.ones((4, 2)), verbose=0)
    model.save(tmp_path / name)
    for compile in (True, False):
        again = keras_seq.load(tmp_path / name, compile=compile)
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_code_is_run_for_who_trusts_it_after_it_is_named(tmp_path):
    x = keras.Input((3,))
    keras.Model(x, layers.Lambda(lambda t: t * 2, name="twice")(x)).save(tmp_path / "model.keras")
    with pytest.raises(
        UserError, match=r"Python code inside: the layer twice \(Lambda\).*trust=True"
    ):
        keras_seq.load(tmp_path / "model.keras")
    said = []
    model = keras_seq.load(tmp_path / "model.keras", trust=True, say=said.append)
    assert "twice (Lambda)" in said[0]
    assert float(model(np.ones((1, 3)))[0, 0]) == 2


def test_weights_alone_need_a_function_that_builds_the_model(folder):
    with (
        speak_command_line(),
        pytest.raises(
            UserError, match="holds weights alone, no model.*--import FILE:FUNCTION --weights"
        ),
    ):
        loader(folder).load(folder / "own.weights.h5")
    model = loader(folder, "mine.py:build").build(folder / "own.weights.h5")
    expected = loader(folder, "mine.py").load(folder / "own.keras")
    for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_function_that_builds_no_model(folder):
    with pytest.raises(
        UserError, match="The function fail in .*mine.py fails: RuntimeError: no data"
    ):
        loader(folder, "mine.py:fail").build()
    with pytest.raises(UserError, match="returns Dense, not a Keras model"):
        loader(folder, "mine.py:give_a_layer").build()


def test_layers_as_json_beside_their_weights(folder, tmp_path):
    model = loader(folder).load(folder / "plain.json", weights=folder / "plain.weights.h5")
    expected = keras.saving.load_model(folder / "plain.keras")
    np.testing.assert_array_equal(model.get_weights()[0], expected.get_weights()[0])
    shutil.copy(folder / "plain.json", tmp_path)
    with pytest.raises(UserError, match="holds the layers of a model without weights"):
        loader(folder).load(tmp_path / "plain.json")
    shutil.copy(folder / "plain.weights.h5", tmp_path)
    assert loader(folder).load(tmp_path / "plain.json").count_params() == expected.count_params()


def test_the_content_counts_not_the_name(folder, tmp_path):
    for source, name in (
        ("plain.keras", "model"),
        ("plain.h5", "model.keras"),
        ("plain.keras", "model.h5"),
    ):
        shutil.copy(folder / source, tmp_path / name)
        assert keras_seq.load(tmp_path / name).count_params() > 0


@pytest.mark.parametrize("name", ["plain.keras", "plain.h5"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_file_is_to_be_copied_again(name, share, folder, tmp_path):
    content = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"was cut short.*Copy it again") as caught:
        keras_seq.load(tmp_path / name)
    assert "Traceback" not in str(caught.value)


def test_a_whole_file_that_keras_refuses_is_not_to_be_copied_again(folder, tmp_path):
    shutil.copy(folder / "plain.h5", tmp_path)
    with h5py.File(tmp_path / "plain.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["units"] = "many"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(UserError, match="cannot be read as a Keras model") as caught:
        keras_seq.load(tmp_path / "plain.h5")
    message = str(caught.value)
    assert "opy it again" not in message
    assert "\x1b" not in message
    assert len(message) < 500 + len(str(tmp_path))
