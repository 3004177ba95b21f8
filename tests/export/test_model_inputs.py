"""What subclassed models take, however they were called: the inputs, their names, the answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import export
from export.model_inputs import declare_inputs
from keras_seq.errors import UserError

RANDOM = np.random.default_rng(0)
X, Y = (
    RANDOM.normal(size=(3, 12, 3)).astype("float32"),
    RANDOM.normal(size=(3, 2)).astype("float32"),
)


class Base(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn, self.dense = layers.LSTM(4), layers.Dense(4)

    def add(self, x, y):
        return self.rnn(x) + self.dense(y)


class Listed(Base):
    def call(self, inputs):
        x, y = inputs
        return self.add(x, y)


class Nested(Base):
    def call(self, inputs):
        return self.add(inputs["x"]["past"], inputs["y"][0])


class Two(Base):
    def call(self, x, y):
        return self.add(x, y)


class Optional(Base):
    def call(self, x, y=None, training=False):
        return self.rnn(x) if y is None else self.add(x, y)


class Keywords(Base):
    def call(self, x, **options):
        return self.rnn(x)


class Starred(Base):
    def call(self, first, *others):
        return self.add(first, others[0])


CASES = {
    "a tuple": (Listed, ((X, Y),), {"inputs_0": X, "inputs_1": Y}),
    "a list": (Listed, ([X, Y],), {"inputs_0": X, "inputs_1": Y}),
    "nested": (Nested, ({"x": {"past": X}, "y": [Y]},), {"x_past": X, "y_0": Y}),
    "keywords": (Keywords, (X,), {"x": X}),
    "starred": (Starred, (X, Y), {"first": X, "others_0": Y}),
    "an optional one left out": (Optional, (X,), {"x": X}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_call_tells_the_inputs(case):
    kind, arguments, arrays = CASES[case]
    model = kind()
    expected = model(*arguments)
    if case == "starred":  # Keras notes the first argument alone.
        with pytest.raises(UserError, match="first, others. are not all known: first"):
            export.export(model, "nowhere", "onnx")
        return
    declared = declare_inputs(model)
    assert [tensor.name for tensor in declared.tensors] == list(arrays)
    assert [tensor.shape for tensor in declared.tensors] == [
        ("B", *a.shape[1:]) for a in arrays.values()
    ]
    inputs = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    np.testing.assert_allclose(declared.call(inputs), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "sample", "names"),
    [
        (Listed, (X, Y), ["inputs_0", "inputs_1"]),
        (Listed, [X, Y], ["inputs_0", "inputs_1"]),
        (Nested, {"x": {"past": X}, "y": [Y]}, ["x_past", "y_0"]),
        (Two, (X, Y), ["x", "y"]),
        (Two, {"x": X, "y": Y}, ["x", "y"]),
        (Optional, (X, Y), ["x", "y"]),
        (Optional, X, ["x"]),
        (Keywords, (X,), ["x"]),
        (Keywords, X.tolist(), ["x"]),
        (Starred, {"first": X, "others": (Y,)}, ["first", "others_0"]),
        (Two, tf.data.Dataset.from_tensor_slices(((X, Y), Y)).batch(3), ["x", "y"]),
    ],
)
def test_a_sample_tells_the_inputs(kind, sample, names):
    model = kind()
    declared = declare_inputs(model, sample)
    assert [tensor.name for tensor in declared.tensors] == names
    for array, given in zip(declared.sample.values(), (X, Y), strict=False):
        np.testing.assert_allclose(array, given)
    answer = declared.call(
        {n: ops.convert_to_tensor(a, "float32") for n, a in declared.sample.items()}
    )
    expected = model.rnn(X) if len(names) == 1 else model.add(X, Y)
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_names_of_a_called_model_fit_a_file_of_arrays():
    model = Nested()
    model({"x": {"past": X}, "y": [Y]})
    declared = declare_inputs(model, {"x_past": X[:2], "y_0": Y[:2]})
    np.testing.assert_array_equal(declared.sample["x_past"], X[:2])
    declared.call({n: ops.convert_to_tensor(a) for n, a in declared.sample.items()})


def test_another_length_in_the_sample_leaves_the_length_open():
    model = Keywords()
    model(X)
    (tensor,) = declare_inputs(model, X[:, :5]).tensors
    assert tensor.shape == ("B", "T", 3)
    (tensor,) = declare_inputs(model, X).tensors
    assert tensor.shape == ("B", 12, 3)


@pytest.mark.parametrize("wrong", [5, "x", [], (), {}, np.zeros((0, 3)), {"x": 4}])
def test_what_is_no_sample_is_refused(wrong):
    with pytest.raises(UserError, match="sample is rows of the model's inputs.*Received: "):
        declare_inputs(Keywords(), wrong)


def test_an_optional_input_that_trained_weights_is_not_forgotten(tmp_path):
    model = Optional()
    model(X, Y)
    with pytest.raises(
        UserError, match=r"dense\w*/\w+, only where it is given y, too.*not x alone"
    ):
        export.export(model, tmp_path / "b", "onnx")
    export.export(model, tmp_path / "b", "onnx", sample=(X, Y))
    found = export.load(tmp_path / "b").predict(x=X, y=Y)["output"]
    np.testing.assert_allclose(found, model(X, Y), atol=1e-5)


def test_a_length_is_left_open_where_it_is_asked_for(tmp_path):
    model = Keywords()
    model(X)
    export.export(model, tmp_path / "b", dynamic=["length"])
    for format in ("tflite", "onnx", "saved_model"):
        loaded = export.load(tmp_path / "b", format)
        assert loaded.signatures["predict"].inputs[0].shape == ("B", "T", 3)
        for steps in (1, 3, 7, 20):
            x = RANDOM.normal(size=(2, steps, 3)).astype("float32")
            np.testing.assert_allclose(loaded.predict(x)["output"], model(x), atol=1e-5)
    fixed = keras.Sequential([keras.Input((6, 3)), layers.LSTM(2)])
    with pytest.raises(UserError, match=r"fixed length.*keras.Input\(\(None, …\)\)"):
        export.export(fixed, tmp_path / "c", dynamic=["length"])


def test_a_model_without_a_call_is_told_so():
    class Nothing(keras.Model):
        pass

    for model in (Nothing(), keras.Model()):
        with pytest.raises(UserError, match=r"has no call\(\): write one"):
            declare_inputs(model)


def make_two():
    left, right = keras.Input((4,), name="left"), keras.Input((None, 3), name="right")
    return keras.Model([left, right], layers.Dense(2)(left) + layers.LSTM(2)(right))


def test_a_bundle_takes_inputs_as_predict_of_keras_does(tmp_path):
    model = make_two()
    export.export(model, tmp_path / "b", ["onnx", "tflite"])
    x, y = RANDOM.normal(size=(1, 4)).astype("float32"), X[:1]
    expected = model([x, y])
    for format in ("onnx", "tflite"):
        loaded = export.load(tmp_path / "b", format)
        for outputs in (
            loaded.predict(x, y),
            loaded.predict([x, y]),
            loaded.predict((x, y)),
            loaded.predict({"left": x, "right": y}),
            loaded.predict(left=x, right=y),
        ):
            np.testing.assert_allclose(next(iter(outputs.values())), expected, atol=1e-5)
        with pytest.raises(UserError, match=r"T \(max_length\) is 1 or more. Received: 0"):
            loaded.predict(x, y[:, :0])
        with pytest.raises(AttributeError, match="no signature 'predct'. Did you mean predict"):
            loaded.predct(x, y)


def test_states_that_are_left_out_are_zeros(tmp_path):
    layer = layers.LSTM(4, stateful=True, name="lstm")
    model = keras.Sequential([keras.Input((5, 3), batch_size=2), layer])
    export.export(model, tmp_path / "b", "onnx")
    loaded = export.load(tmp_path / "b")
    x = X[:2, :5]
    outputs = loaded.predict(x)
    layer.reset_states()
    np.testing.assert_allclose(outputs["lstm"], model(x), atol=1e-5)
    after = {name: outputs[f"next_{name}"] for name in ("state_lstm_h", "state_lstm_c")}
    np.testing.assert_allclose(loaded.predict(x, **after)["lstm"], model(x), atol=1e-5)


def test_what_is_no_size_is_refused(tmp_path):
    with pytest.raises(UserError, match="dynamic lists batch and length. Received: 'lenght'"):
        export.export(make_two(), tmp_path / "b", dynamic=["lenght"])
