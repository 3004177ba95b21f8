"""Ordinary Keras models in every format, each in its plain runtime, against Keras itself."""

import keras
import numpy as np
import pytest

import export
from benchmarks.gallery_models import GALLERY
from export import formats

STEPS = 20


@pytest.fixture(scope="module", params=sorted(GALLERY))
def exported(request, tmp_path_factory):
    model = GALLERY[request.param]()
    weights = [w.copy() for w in model.get_weights()]
    folder = tmp_path_factory.mktemp(request.param) / "bundle"
    manifest = export.export(model, folder, max_length=STEPS)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    return model, folder, manifest


def test_each_format_computes_what_keras_computes(exported):
    """The exporter compares padded rows, too; a difference above 1e-4 is an error there."""
    _, folder, manifest = exported
    for name in formats.NAMES:
        figures = manifest["parity"]["formats"][name]["predict"]
        assert figures["inputs"] >= 16
        assert figures["largest_difference"] <= 1e-5
    operators = formats.module("tflite").operators(folder)
    assert not [name for name in operators if name.startswith(("FLEX", "CUSTOM", "VARIABLE"))]


def test_the_bundle_answers_keras_predict(exported):
    """Not through the exporter: `model.predict`, on inputs drawn here, by the model's own names."""
    model, folder, manifest = exported
    if manifest["parity"]["formats"]["tflite"].keys() != {"predict"}:
        pytest.fail("a signature is missing here")
    inputs = {}
    generator = np.random.default_rng(7)
    spec = manifest["signatures"]["predict"]
    rows = 2
    for tensor in spec["inputs"]:
        shape = [{"B": rows, "T": STEPS, "L": 40}.get(n, n) for n in tensor["shape"]]
        if tensor["name"].startswith("state_"):
            inputs[tensor["name"]] = np.zeros(shape, "float32")
        elif tensor["dtype"] == "uint8":
            inputs[tensor["name"]] = ["The film was good, BAD!", "über"]
        elif tensor["name"].endswith("_length"):
            continue
        elif tensor["dtype"] == "int32":
            inputs[tensor["name"]] = generator.integers(1, 190, shape).astype("int32")
        else:
            inputs[tensor["name"]] = generator.normal(size=shape).astype("float32")
    if "text" in inputs or "genre" in inputs:
        inputs = {
            k: [t[:STEPS] for t in v] if isinstance(v, list) else v for k, v in inputs.items()
        }
    given = {k: v for k, v in inputs.items() if not k.startswith("state_")}
    for name, value in given.items():
        if isinstance(value, list):
            shape = (rows,) if name == "text" else (rows, 1)
            given[name] = keras.ops.convert_to_tensor(np.array(value, object).reshape(shape))
    arguments = [given[name] for name in given]
    struct = model.input if hasattr(model, "_inputs_struct") else None
    if isinstance(struct, dict):
        expected = model(given, training=False)
    else:
        expected = model(arguments if len(arguments) > 1 else arguments[0], training=False)
    flat = keras.tree.flatten(expected)
    for name in formats.NAMES:
        found = export.load(folder, name).predict(**inputs)
        outputs = [t["name"] for t in spec["outputs"] if not t["name"].startswith("next_state_")]
        assert len(outputs) == len(flat)
        if isinstance(expected, dict):
            assert sorted(outputs) == sorted(expected)
        tolerance = 3e-3 if "mixed" in str(folder) else 1e-5
        for output, wanted in zip(outputs, flat, strict=True):
            np.testing.assert_allclose(
                found[output], np.asarray(wanted, "float32"), atol=tolerance, rtol=1e-4
            )
