"""States of recurrent layers as inputs and outputs."""

import keras
import numpy as np
import pytest
from keras import layers

import export
from benchmarks.gallery_models import MinimalCell
from export import formats
from keras_seq import layers as keras_seq_layers
from keras_seq.errors import UserError

X = np.random.default_rng(0).normal(size=(5, 9, 4)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [pytest.param(9, marks=pytest.mark.slow), None])
def test_a_stream_gives_what_the_sequence_gives(tmp_path, steps):
    model = keras.Sequential(
        [
            keras.Input((steps, 4), name="frames"),
            layers.LSTM(8, return_sequences=True),
            keras_seq_layers.LSTM(7, return_sequences=True),
            layers.RNN([layers.GRUCell(6), MinimalCell(3)], return_sequences=True),
            layers.Dense(2, name="tags"),
        ]
    )
    variables = len(model.variables)
    manifest = export.export(model, tmp_path / "b", stream=True, batch=5, max_length=steps or 4)
    assert manifest["signatures"].keys() == {"predict", "stream"}
    for format in formats.NAMES:
        stream = export.load(tmp_path / "b", format).open_stream()
        for _ in range(2):
            stream.reset()
            found = [stream(frames=X[:, t : t + 1])["tags"] for t in range(9)]
            np.testing.assert_allclose(np.concatenate(found, axis=1), model(X), atol=1e-5)
    assert not any(layer.stateful for layer in model.layers[:3])
    assert len(model.variables) == variables


def test_a_stateful_model_is_called_as_it_goes_on(tmp_path):
    inputs = keras.Input(batch_shape=(5, 3, 4), name="frames")
    x = layers.LSTM(6, stateful=True, name="memory")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="y")(x))
    export.export(model, tmp_path / "b")
    loaded = [export.load(tmp_path / "b", format) for format in formats.NAMES]
    zeros = {f"state_memory_{part}": np.zeros((5, 6), "float32") for part in "hc"}
    states = dict.fromkeys(formats.NAMES, zeros)
    for part in (X[:, :3], X[:, 3:6], X[:, 6:]):
        expected = model(part)  # The model carries its own state.
        for bundle in loaded:
            found = bundle.predict(frames=part, **states[bundle.format])
            np.testing.assert_allclose(found["y"], expected, atol=1e-5)
            states[bundle.format] = {name: found[f"next_{name}"] for name in zeros}


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (
            layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both_ways"),
            "both_ways",
        ),
        (keras_seq_layers.SinusoidalPositions(9, name="order"), "order"),
        (keras_seq_layers.LSTM(3, go_backwards=True, name="behind"), "behind"),
        (layers.GRU(3, go_backwards=True, name="back"), "back"),
        (layers.Conv1D(2, 3, padding="causal", name="window"), "window"),
        (layers.Lambda(lambda x: x - keras.ops.mean(x, axis=1, keepdims=True)), "whole sequence"),
    ],
)
def test_what_cannot_be_streamed_is_named(tmp_path, layer, word):
    inputs = keras.Input((9, 4))
    x = layers.LSTM(3, return_sequences=True)(inputs)
    model = keras.Model(inputs, layer(x))
    with pytest.raises(UserError, match=word):
        export.export(model, tmp_path / "b", stream=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU, keras_seq_layers.RNN])
@pytest.mark.parametrize("backwards", [False, True])
def test_any_length_from_one_on_in_tflite(tmp_path, layer, backwards):
    inputs = keras.Input((None, 4))
    outputs = layer(3, return_sequences=True, go_backwards=backwards)(inputs)
    model = keras.Model(inputs, outputs)
    export.export(model, tmp_path / "b", ["tflite"])
    loaded = export.load(tmp_path / "b", "tflite")
    for length in (1, 2, 3, 4, 5, 9, 3):
        (found,) = loaded.predict(X[:, :length]).values()
        np.testing.assert_allclose(found, model(X[:, :length]), atol=1e-5)
