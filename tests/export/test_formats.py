"""Every recurrence in every format, through the format's own runtime, against Keras."""

import os

import keras
import numpy as np
import pytest

from export import formats
from keras_seq import layers
from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.signature import Signature, TensorSpec

STEPS, WIDTH, UNITS = 11, 5, 6
GENERATOR = np.random.default_rng(0)


def roll_out(signature, inputs, tmp_path, name):
    """What the written file answers."""
    module = formats.module(name)
    rows = len(next(iter(inputs.values())))
    module.write([signature], tmp_path, {"B": rows, "T": STEPS} if module.STATIC else {})
    operators = module.operators(tmp_path)
    outputs = formats.module(name).Runner(tmp_path, 1)(signature.name, inputs)
    return outputs, operators


MASKS = {
    "none": None,
    "padded": [[1] * 11, [1] * 7 + [0] * 4, [1] + [0] * 10, [0] * 11],
    "padded in front": [[0] * 3 + [1] * 8, [1] * 11, [0] * 10 + [1], [0] * 11],
    "holes": [[1, 0] * 5 + [1], [0, 1] * 5 + [0], [0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0], [0] * 11],
}


@pytest.mark.parametrize("format", formats.NAMES)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("kind", [layers.RNN, layers.LSTM])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_recurrence_with_state_and_masks(tmp_path, kind, reverse, mask, format):
    """Stock Keras layers are the reference: outputs of all steps, and the state at the end."""
    options = {"return_sequences": True, "return_state": True, "go_backwards": reverse}
    layer = kind(UNITS, **options)
    stock = {layers.RNN: keras.layers.SimpleRNN, layers.LSTM: keras.layers.LSTM}[kind](
        UNITS, **options
    )
    layer.build((None, None, WIDTH))
    stock.build((None, None, WIDTH))
    layer.set_weights([GENERATOR.normal(size=w.shape) for w in layer.get_weights()])
    stock.set_weights(layer.get_weights())

    def call(x, mask=None, **state):
        outputs, *state = layer(x, initial_state=list(state.values()), mask=mask)
        return {"outputs": outputs} | {f"new_{n}": t for n, t in zip(names, state, strict=True)}

    names = layer.state_names
    inputs = {"x": GENERATOR.normal(size=(4, STEPS, WIDTH)).astype("float32")}
    specs = [TensorSpec("x", "float32", ("B", "T", WIDTH))]
    if mask is not None:
        inputs["mask"] = np.array(mask, bool)
        specs.append(TensorSpec("mask", "bool", ("B", "T")))
    for name in names:
        inputs[name] = GENERATOR.normal(size=(4, UNITS)).astype("float32")
        specs.append(TensorSpec(name, "float32", ("B", UNITS)))
    outputs = [TensorSpec("outputs", "float32", ("B", "T", UNITS))]
    outputs += [TensorSpec(f"new_{name}", "float32", ("B", UNITS)) for name in names]
    signature = Signature("run", tuple(specs), tuple(outputs), call)

    found, operators = roll_out(signature, inputs, tmp_path, format)
    wanted = stock(
        inputs["x"], initial_state=[inputs[name] for name in names], mask=inputs.get("mask")
    )
    for tensor, expected in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(found[tensor.name], expected, atol=2e-6, err_msg=tensor.name)
    if format == "onnx":
        assert operators[kind.__name__] == 1
        assert not {"Loop", "Scan"} & set(operators)


@pytest.mark.parametrize("format", formats.NAMES)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "transformer"])
def test_one_step_with_state_in_and_out(tmp_path, cell, format):
    """The step function of a backbone, its state plain inputs and outputs."""
    if cell == "transformer":
        backbone = TransformerBackbone(50, 8, 1, 2, max_length=STEPS, causal=True)
    else:
        backbone = RecurrentBackbone(50, 8, cell)
    backbone.build((None, None))
    state = {k: np.array(v) for k, v in backbone.initial_state(2, STEPS).items()}
    inputs = [TensorSpec("token", "int32", ("B",))]
    outputs = [TensorSpec("hidden", "float32", ("B", 8))]
    for name, value in state.items():
        shape = ("B", *value.shape[1:])
        inputs.append(TensorSpec(name, value.dtype.name, shape))
        outputs.append(TensorSpec(f"new_{name}", value.dtype.name, shape))

    def step(token, **state):
        hidden, state = backbone.step(token, state)
        return {"hidden": hidden} | {f"new_{name}": value for name, value in state.items()}

    signature = Signature("decode", tuple(inputs), tuple(outputs), step)
    module = formats.module(format)
    module.write([signature], tmp_path, {"B": 2} if module.STATIC else {})
    run = formats.module(format).Runner(tmp_path, 1)
    token_ids = np.array([[3, 9, 4, 7, 1], [8, 8, 2, 1, 5]], "int32")
    whole = np.asarray(backbone(token_ids))
    for t in range(token_ids.shape[1]):
        out = run("decode", {"token": token_ids[:, t], **state})
        np.testing.assert_allclose(out["hidden"], whole[:, t], atol=1e-5)
        state = {name: out[f"new_{name}"] for name in state}


@pytest.mark.parametrize("format", formats.NAMES)
def test_integers_are_compared_as_integers(tmp_path, format):
    """As floats of 24 bits these are all the same."""

    def call(x, y):
        return {"less": keras.ops.cast(x < y, "int32"), "more": keras.ops.cast(x > y, "int32")}

    tensors = (TensorSpec("x", "int32", ("B",)), TensorSpec("y", "int32", ("B",)))
    found = (TensorSpec("less", "int32", ("B",)), TensorSpec("more", "int32", ("B",)))
    x = np.array([2**24, 2**24 + 1, 2**24 + 1, -(2**31)], "int32")
    y = np.array([2**24 + 1, 2**24, 2**24 + 1, 2**31 - 1], "int32")
    outputs, _ = roll_out(
        Signature("run", tensors, found, call), {"x": x, "y": y}, tmp_path, format
    )
    assert outputs["less"].tolist() == [1, 0, 0, 1]
    assert outputs["more"].tolist() == [0, 1, 0, 0]


def test_a_pass_of_tf2onnx_that_fails_is_left_out(tmp_path, monkeypatch):
    from tf2onnx.optimizer import TransposeOptimizer

    optimize = TransposeOptimizer.optimize

    def fail(self, graph):
        raise KeyError("a bug")

    monkeypatch.setattr(TransposeOptimizer, "_optimize", fail)
    monkeypatch.delenv("TF2ONNX_CATCH_ERRORS", raising=False)
    layer = layers.LSTM(UNITS)
    x = GENERATOR.normal(size=(2, STEPS, WIDTH)).astype("float32")
    expected = keras.ops.convert_to_numpy(layer(x))
    signature = Signature(
        "run",
        (TensorSpec("x", "float32", ("B", "T", WIDTH)),),
        (TensorSpec("y", "float32", ("B", UNITS)),),
        lambda x: {"y": layer(x)},
    )
    found, _ = roll_out(signature, {"x": x}, tmp_path, "onnx")
    np.testing.assert_allclose(found["y"], expected, atol=1e-6)
    assert "TF2ONNX_CATCH_ERRORS" not in os.environ
    assert TransposeOptimizer.optimize is optimize


def test_operators_finds_what_is_not_built_in(tmp_path):
    """A converter allowed to use TensorFlow's operators is found out."""
    import tensorflow as tf

    from export.formats import tflite

    class Foreign(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3, 3], tf.float32)])
        def __call__(self, x):
            return tf.linalg.inv(x) + tf.tanh(x)

    module = Foreign()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    (tmp_path / "tflite").mkdir()
    (tmp_path / "tflite" / "model.tflite").write_bytes(converter.convert())
    found = tflite.operators(tmp_path)
    assert found["TANH"] == 1
    assert found["CUSTOM FlexMatrixInverse"] == 1
