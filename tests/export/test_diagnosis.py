"""Models that answer NaN, or whose rows depend on each other: the model is named, not the file."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import export
from keras_seq.errors import UserError


@keras.saving.register_keras_serializable("tests")
class Apply(layers.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def make_model(function):
    inputs = keras.Input((5, 3))
    return keras.Model(inputs, layers.GRU(4, name="gru")(Apply(function)(inputs)), name="mine")


def test_weights_that_are_not_finite_are_named(tmp_path):
    model = make_model(ops.tanh)
    weights = model.get_weights()
    weights[0][:2] = np.nan
    weights[1][0, 0] = np.inf
    model.set_weights(weights)
    with pytest.raises(UserError) as caught:
        export.export(model, tmp_path / "b")
    assert "Keras itself answers NaN in the output 'gru'" in str(caught.value)
    assert "25 of the 108 weights of the layer 'gru' are not finite" in str(caught.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("function", [ops.log, ops.sqrt, lambda x: ops.power(x, 0.3)])
def test_a_model_of_positive_numbers_is_compared_on_these(tmp_path, function):
    model = make_model(function)
    export.export(model, tmp_path / "b", ["onnx", "tflite"])
    x = np.random.default_rng(1).random((1, 5, 3)).astype("float32")
    for format in ("onnx", "tflite"):
        found = export.load(tmp_path / "b", format).predict(x)["gru"]
        np.testing.assert_allclose(found, model(x), atol=1e-5)


def test_a_model_that_is_defined_nowhere_asks_for_a_sample(tmp_path):
    model = make_model(lambda x: ops.log(x - 3))
    with pytest.raises(UserError, match="NaN in the output 'gru' to random inputs.*sample=arrays"):
        export.export(model, tmp_path / "b", "onnx")


def test_the_same_infinity_is_no_difference(tmp_path):
    inputs = keras.Input((4,))
    masked = Apply(lambda x: ops.where(x > 0, x, -np.inf), name="masked")(inputs)
    export.export(keras.Model(inputs, masked), tmp_path / "b")
    x = np.array([[1.0, -1.0, 2.0, -3.0]], "float32")
    for format in ("onnx", "tflite", "saved_model"):
        found = export.load(tmp_path / "b", format).predict(x)["masked"]
        lowest = np.finfo("float32").min if format == "tflite" else -np.inf
        np.testing.assert_array_equal(found, [[1.0, lowest, 2.0, lowest]])


def test_rows_that_depend_on_each_other_are_told_apart_from_a_fault(tmp_path):
    model = make_model(lambda x: ops.cond(ops.sum(x) > 0, lambda: x * 2, lambda: x - 1))
    with pytest.raises(UserError, match=r"'mine' the rows of a batch depend on each.*batch=16"):
        export.export(model, tmp_path / "b")
    export.export(model, tmp_path / "b", batch=16)
    export.export(model, tmp_path / "c", dynamic=["batch"])
    x = np.random.default_rng(1).normal(size=(16, 5, 3)).astype("float32")
    for folder in "bc":
        for format in ("tflite", "onnx"):
            found = export.load(tmp_path / folder, format).predict(x)["gru"]
            np.testing.assert_allclose(found, model(x), atol=1e-5)


def test_numbers_drawn_by_python_are_told_apart_from_a_fault(tmp_path):
    model = make_model(lambda x: x + float(np.random.default_rng().normal()))
    with pytest.raises(UserError, match="'mine' gives another answer when it is asked the same"):
        export.export(model, tmp_path / "b", "onnx")


@pytest.mark.parametrize("function", [ops.mean, lambda x: ops.mean(x, axis=0)])
def test_an_output_without_rows_is_named(tmp_path, function):
    inputs = keras.Input((5, 3))
    whole = Apply(function, name="whole")(inputs)
    model = keras.Model(inputs, [layers.GRU(4)(inputs), whole])
    with pytest.raises(UserError, match="The output 'whole' .* one answer for a whole batch"):
        export.export(model, tmp_path / "b")


def test_a_length_is_found_that_the_model_reads(tmp_path):
    inputs = keras.Input((None, 3))
    places = layers.Embedding(20, 3)
    placed = Apply(lambda x: x + places(ops.arange(ops.shape(x)[1])), name="placed")(inputs)
    model = keras.Model(inputs, layers.LSTM(2, name="lstm")(placed))
    export.export(model, tmp_path / "b", ["onnx", "tflite"])
    for format in ("onnx", "tflite"):
        loaded = export.load(tmp_path / "b", format)
        for steps in (1, 5, 20):
            x = np.random.default_rng(steps).normal(size=(1, steps, 3)).astype("float32")
            np.testing.assert_allclose(loaded.predict(x)["lstm"], model(x), atol=1e-5)


def test_random_inputs_are_of_the_samples_kind(tmp_path):
    inputs = keras.Input((4,), dtype="int32")
    table = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    model = keras.Model(inputs, ops.take(ops.convert_to_tensor(table), inputs - 70, axis=0))
    with pytest.raises(UserError) as caught:
        export.export(model, tmp_path / "b", "onnx")
    assert "Keras itself does not answer random inputs" in str(caught.value)
    assert "is not in [0, 2). Give inputs" in str(caught.value)
    assert "File" not in str(caught.value).removesuffix("sample=arrays")
    export.export(model, tmp_path / "b", "onnx", sample=np.array([[70, 71, 71, 70]], "int32"))
    numbers = keras.Input((3,))
    model = keras.Model(numbers, ops.log(numbers - 3))
    export.export(model, tmp_path / "c", "onnx", sample=np.random.default_rng(0).random((5, 3)) + 4)


def test_an_output_of_as_many_rows_as_values_is_named(tmp_path):
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, Apply(lambda x: ops.nonzero(x > 0)[0], name="places")(inputs))
    with pytest.raises(UserError, match="The output 'places' cannot be exported: it has .* rows"):
        export.export(model, tmp_path / "b", ["onnx"])
