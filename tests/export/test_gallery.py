"""Ordinary Keras models in every format, each in its plain runtime, against Keras itself."""

import keras
import numpy as np
import pytest

import export
from benchmarks.gallery_models import GALLERY
from export import formats
from tests.export.helpers import parity_figures, read_reference

STEPS, ROWS = 20, 2
IN_THE_BROWSER = (
    "imdb_masked_lstm",
    "stacked_gru",
    "conv_lstm_2d",
    "custom_cell",
    "masked_seq2seq_lstm",
    "stateful_lstm",
    "text_vectorization",
    "transformer_causal",
)


QUICK = ("custom_cell", "sequence_tagger", "stateful_lstm")


def by_time(names):
    """The names as parameters: the quick ones, others that are slow, and half of all for `--full`."""
    seldom = {name for name in names[1::2] if name not in (*QUICK, *IN_THE_BROWSER)}
    for name in names:
        marks = [] if name in QUICK else [pytest.mark.slow]
        yield pytest.param(name, marks=[*marks, *[pytest.mark.full] * (name in seldom)])


@pytest.fixture(scope="module", params=by_time(sorted(GALLERY)))
def exported(request, tmp_path_factory):
    model = GALLERY[request.param]()
    weights = [w.copy() for w in model.get_weights()]
    folder = tmp_path_factory.mktemp(request.param) / "bundle"
    manifest = export.export(model, folder, max_length=STEPS)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    return model, folder, manifest


def test_each_format_computes_what_keras_computes(exported):
    """On the exporter's inputs, padded rows among them; it compares with stock layers."""
    _, folder, manifest = exported
    for name in formats.NAMES:
        figures = parity_figures(manifest)[name]["predict"]
        assert figures["inputs"] >= 16
        assert figures["largest_difference"] <= 1e-5
    operators = formats.module("tflite").operators(folder)
    assert not [name for name in operators if name.startswith(("FLEX", "CUSTOM", "VARIABLE"))]


def drawn(tensor):
    """An input for a user's call of the bundle."""
    generator = np.random.default_rng(7)
    shape = [{"B": ROWS, "T": STEPS}.get(n, n) for n in tensor["shape"]]
    if tensor["dtype"] == "uint8":
        return ["The film was, BAD!", "über"]
    if tensor["name"].startswith("state_"):
        return np.zeros(shape, "float32")
    if tensor["dtype"] == "int32":
        return generator.integers(1, 190, shape).astype("int32")
    return generator.normal(size=shape).astype("float32")


def test_the_bundle_answers_what_the_model_answers(exported):
    """Not through the exporter: the model as its user calls it, by the names it gave."""
    model, folder, manifest = exported
    spec = manifest["signatures"]["predict"]
    inputs = {t["name"]: drawn(t) for t in spec["inputs"] if not t["name"].endswith("_length")}
    tensors = {
        name: keras.ops.convert_to_tensor(
            np.array(value, object).reshape(dict(genre=(ROWS, 1)).get(name, (ROWS,)))
            if isinstance(value, list)
            else value
        )
        for name, value in inputs.items()
        if not name.startswith("state_")
    }
    by_name = isinstance(getattr(model, "input", None), dict)
    arguments = tensors if by_name else list(tensors.values())
    expected = model(arguments if by_name or len(arguments) > 1 else arguments[0], training=False)
    if isinstance(expected, dict):
        names = list(expected)
    else:
        names = [t["name"] for t in spec["outputs"] if not t["name"].startswith("next_state_")]
        expected = dict(zip(names, keras.tree.flatten(expected), strict=True))
    # A model of mixed precision is exported in float32; float16 itself is good to 3 digits.
    tolerance = 3e-3 if "mixed_precision" in str(folder) else 1e-5
    for format in formats.NAMES:
        found = export.load(folder, format).predict(**inputs)
        for name in names:
            np.testing.assert_allclose(
                found[name], np.asarray(expected[name], "float32"), atol=tolerance, rtol=1e-4
            )


@pytest.mark.slow
@pytest.mark.parametrize("exported", IN_THE_BROWSER, indirect=True)
def test_a_sample_of_them_in_the_browser(exported, in_the_browser):
    _, folder, manifest = exported
    inputs, expected = read_reference(folder)
    fixed = manifest["signatures"]["predict"]["inputs"][0]["shape"][0]
    rows = fixed if isinstance(fixed, int) else 1
    given = {name: array[-rows:] for name, array in inputs["predict"].items()}
    for runtime, (found,) in in_the_browser(folder, "predict", [given]).items():
        assert sorted(found) == sorted(expected["predict"]), runtime
        for name, array in expected["predict"].items():
            np.testing.assert_allclose(
                found[name], array[-rows:].ravel(), atol=1e-5, err_msg=runtime
            )
