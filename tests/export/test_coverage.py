"""Layers, activations and functions of Keras, each with the right numbers or refused well."""

import inspect

import keras
import pytest

import export
from benchmarks import coverage
from benchmarks.coverage_layers import ACTIVATIONS, OTHERS, REQUIRED, build_layer
from benchmarks.coverage_ops import NO_TENSORS, SELDOM, UNTRACED, USES, build_op


def join(models):
    """One model of several, which share their inputs; an export proves all of them at once."""
    inputs, outputs = {}, []
    for model in models:
        mine = []
        for tensor in keras.tree.flatten(model.inputs):
            key = f"{tensor.dtype}_{'_'.join(map(str, tensor.shape[1:]))}_{tensor.name}"
            if key not in inputs:
                inputs[key] = keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=key)
            mine.append(inputs[key])
        found = model(mine if len(mine) > 1 else mine[0])
        outputs += [x for x in keras.tree.flatten(found) if x.dtype != "string"]
    return keras.Model(list(inputs.values()), outputs)


@pytest.mark.slow
def test_functions_that_sequence_models_use(tmp_path, full):
    """In one model; the export compares each output with Keras in every format."""
    names = sorted(name for name in USES if name not in SELDOM | UNTRACED)
    assert len(names) > 200
    export.export(join(build_op(name) for name in names[:: 1 if full else 6]), tmp_path / "b")


def test_every_activation(tmp_path):
    x = keras.Input((6, 4), name="x")
    outputs = [keras.layers.Activation(name)(x) for name in ACTIVATIONS]
    export.export(keras.Model(x, outputs), tmp_path / "b")


HASHED = {"Hashing", "HashedCrossing"}
# Which have tests of their own, and take long.
RECURRENT = {name for name in REQUIRED if "RNN" in name or "LSTM" in name} | {
    "GRU",
    "Bidirectional",
}


@pytest.mark.slow
def test_every_layer(tmp_path, full):
    """In its plain form; `benchmarks.coverage` has every argument of each."""
    left_out = HASHED if full else HASHED | RECURRENT
    models = [build_layer(name, REQUIRED[name]) for name in REQUIRED if name not in left_out]
    export.export(join(models), tmp_path / "b", max_bytes=32)


def test_every_class_and_function_of_keras_has_its_place():
    """A new one of Keras is noticed here."""
    functions = {name for name, value in vars(keras.ops).items() if inspect.isfunction(value)}
    assert functions - USES.keys() - NO_TENSORS <= {"fold"}
    classes = {value.__name__ for value in vars(keras.layers).values() if inspect.isclass(value)}
    sequences = {
        name
        for name in classes
        if not name.startswith("Random")
        and not name.endswith(("2D", "3D", "2DTranspose", "3DTranspose"))
    }
    assert sequences - REQUIRED.keys() - OTHERS <= {"GroupedQueryAttention"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svd", "jvp", "unique", "bitwise_and"])
def test_other_functions_are_right_or_refused_well(name):
    outcomes = coverage.try_case(lambda: build_op(name), ["tflite", "onnx"])
    assert outcomes
    for outcome in outcomes.values():
        assert outcome.kind != coverage.WRONG, outcome.message


def test_a_refusal_is_judged():
    good = "The layer 'x' (F) cannot be exported to ONNX, which has no built-in operator for Svd."
    assert coverage.judge(good) == coverage.REFUSED
    for bad in ("onnx does not compute what Keras computes.", "loc(x)", "\x1b[1mno", "No Op"):
        assert coverage.judge(bad) == coverage.WRONG


def test_a_wrong_answer_is_found(monkeypatch):
    """The table would not be worth much if it called everything right."""
    from export.keras_layers import ordering

    find = ordering.find_extreme
    monkeypatch.setattr(ordering, "find_extreme", lambda *options: find(*options) + 1)
    outcome = coverage.try_case(lambda: build_op("argmax"), ["onnx"])["onnx"]
    assert outcome.kind == coverage.WRONG
    assert "differ in apply_argmax" in outcome.message


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("kind", coverage.KINDS)
def test_all_of_keras(kind):
    wrong = []
    for case, build in coverage.list_cases(kind):
        for format, outcome in coverage.try_case(build, name=case).items():
            if outcome.kind == coverage.WRONG and "(seldom)" not in case:
                wrong.append(f"{case}, {format}: {outcome.message}")
    assert not wrong, "\n".join(wrong)
