"""Every recurrence in every format, through the format's own runtime, against Keras."""

import keras
import numpy as np
import pytest

from export import formats
from keras_seq import layers
from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.layers.cells import LSTMCell
from keras_seq.layers.recurrence import run_recurrence
from keras_seq.signature import Signature, TensorSpec
from tests.token_models import TokenBackbone

STEPS, WIDTH, UNITS = 11, 5, 6
GENERATOR = np.random.default_rng(0)


def write_and_open(signatures, sizes, folder, name):
    """Writes signatures in a format and returns its runner."""
    module = formats.module(name)
    module.write(signatures, folder, sizes if module.STATIC else {})
    return module.Runner(folder, 1)


# Lengths, gaps, and rows that are masked throughout: the values of a mask are data of one file.
MASKS = {
    "padded": [[1] * 11, [1] * 7 + [0] * 4, [1] + [0] * 10, [0] * 11],
    "padded in front": [[0] * 3 + [1] * 8, [1] * 11, [0] * 10 + [1], [0] * 11],
    "gaps": [[1, 0] * 5 + [1], [0, 1] * 5 + [0], [0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0], [0] * 11],
}
KINDS = {layers.RNN: keras.layers.SimpleRNN, layers.LSTM: keras.layers.LSTM}


@pytest.fixture(scope="module")
def recurrences():
    """Signatures of every kind, direction, with and without a mask; and stock layers by name."""
    signatures, references = [], {}
    for kind, stock_kind in KINDS.items():
        for reverse in (False, True):
            options = {"return_sequences": True, "return_state": True, "go_backwards": reverse}
            layer, stock = kind(UNITS, **options), stock_kind(UNITS, **options)
            layer.build((None, None, WIDTH))
            stock.build((None, None, WIDTH))
            layer.set_weights([GENERATOR.normal(size=w.shape) for w in layer.get_weights()])
            stock.set_weights(layer.get_weights())
            for masked in (False, True):
                name = f"{kind.__name__}_{'reverse' if reverse else 'forward'}{'_masked' * masked}"
                signatures.append(recurrence_signature(name, layer, masked))
                references[name] = stock
    return signatures, references


def recurrence_signature(name, layer, masked):
    def call(x, mask=None, **state):
        outputs, *state = layer(x, initial_state=list(state.values()), mask=mask)
        states = zip(layer.state_names, state, strict=True)
        return {"outputs": outputs} | {f"new_{n}": t for n, t in states}

    inputs = [TensorSpec("x", "float32", ("B", "T", WIDTH))]
    if masked:
        inputs.append(TensorSpec("mask", "bool", ("B", "T")))
    inputs += [TensorSpec(name, "float32", ("B", UNITS)) for name in layer.state_names]
    outputs = [TensorSpec("outputs", "float32", ("B", "T", UNITS))]
    outputs += [TensorSpec(f"new_{name}", "float32", ("B", UNITS)) for name in layer.state_names]
    return Signature(name, tuple(inputs), tuple(outputs), call)


@pytest.mark.parametrize("format", formats.NAMES)
def test_recurrence_with_state_and_masks(tmp_path, recurrences, format):
    """Stock Keras layers are the reference: outputs of all steps, and the state at the end."""
    signatures, references = recurrences
    run = write_and_open(signatures, {"B": 4, "T": STEPS}, tmp_path, format)
    for signature in signatures:
        x = GENERATOR.normal(size=(4, STEPS, WIDTH)).astype("float32")
        names = [t.name for t in signature.inputs if t.name not in ("x", "mask")]
        state = {n: GENERATOR.normal(size=(4, UNITS)).astype("float32") for n in names}
        for label, mask in MASKS.items() if "masked" in signature.name else (("none", None),):
            given = {} if mask is None else {"mask": np.array(mask, bool)}
            found = run(signature.name, {"x": x, **given, **state})
            wanted = references[signature.name](x, initial_state=list(state.values()), **given)
            for tensor, expected in zip(signature.outputs, wanted, strict=True):
                np.testing.assert_allclose(
                    found[tensor.name],
                    expected,
                    atol=2e-6,
                    err_msg=f"{signature.name}, mask {label}, {tensor.name}",
                )
    if format == "onnx":
        operators = formats.module(format).operators(tmp_path)
        assert (operators["RNN"], operators["LSTM"]) == (4, 4)
        assert not {"Loop", "Scan"} & set(operators)


@pytest.mark.parametrize("format", formats.NAMES)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "transformer"])
def test_one_step_with_state_in_and_out(tmp_path, cell, format):
    """The step function of a backbone, its state plain inputs and outputs."""
    if cell == "transformer":
        backbone = TransformerBackbone(8, 1, 2, max_length=STEPS, causal=True)
    else:
        backbone = RecurrentBackbone(8, cell)
    backbone = TokenBackbone(backbone, 50)
    backbone(np.ones((1, 1), "int32"))
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
    run = write_and_open([signature], {"B": 2}, tmp_path, format)
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
    signature = Signature("run", tensors, found, call)
    outputs = write_and_open([signature], {"B": 4}, tmp_path, format)("run", {"x": x, "y": y})
    assert outputs["less"].tolist() == [1, 0, 0, 1]
    assert outputs["more"].tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("format", formats.NAMES)
def test_integers_are_divided_downwards(tmp_path, format):
    """Not towards zero, as in C."""

    def call(x, y):
        ops = keras.ops
        return {
            "quotient": ops.floor_divide(x, y),
            "rest": ops.mod(x, y),
            "real": ops.floor_divide(ops.cast(x, "float32"), ops.cast(y, "float32")),
        }

    x, y = np.array([-7, 7, -7, 7, -6], "int32"), np.array([2, 2, -2, -2, 3], "int32")
    tensors = (TensorSpec("x", "int32", ("B",)), TensorSpec("y", "int32", ("B",)))
    outputs = [TensorSpec(name, "int32", ("B",)) for name in ("quotient", "rest")]
    outputs.append(TensorSpec("real", "float32", ("B",)))
    signature = Signature("run", tensors, tuple(outputs), call)
    found = write_and_open([signature], {"B": 5}, tmp_path, format)("run", {"x": x, "y": y})
    np.testing.assert_array_equal(found["quotient"], x // y)
    np.testing.assert_array_equal(found["rest"], x % y)
    np.testing.assert_array_equal(found["real"], x // y)


@pytest.mark.parametrize("activation", ["linear", "hard_sigmoid", "relu"])
def test_activations_of_one_node(tmp_path, activation):
    """Whose numbers the node takes in the order of the activations that have any."""
    stock = keras.layers.LSTM(UNITS, activation, recurrent_activation="sigmoid")
    stock.build((None, STEPS, WIDTH))
    cell = LSTMCell(
        stock.cell.kernel, stock.cell.recurrent_kernel, stock.cell.bias, stock.cell.activation
    )

    def call(x):
        state = (keras.ops.zeros((4, UNITS)),) * 2
        _, (hidden, _) = run_recurrence(cell, x, state, sequence=False)
        return {"hidden": hidden}

    signature = Signature(
        "run",
        (TensorSpec("x", "float32", ("B", STEPS, WIDTH)),),
        (TensorSpec("hidden", "float32", ("B", UNITS)),),
        call,
    )
    x = GENERATOR.normal(size=(4, STEPS, WIDTH)).astype("float32")
    found = write_and_open([signature], {"B": 4}, tmp_path, "onnx")("run", {"x": x})
    np.testing.assert_allclose(found["hidden"], stock(x), atol=2e-5, rtol=1e-5)
    assert formats.module("onnx").operators(tmp_path)["LSTM"] == 1
