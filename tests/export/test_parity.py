import numpy as np
import pytest

from export.parity import TOLERANCE, compare, load_reference, save_reference
from keras_seq.signature import SignatureSpec, TensorSpec

SPEC = SignatureSpec(
    "run",
    (TensorSpec("x", "float32", ("B", 3)),),
    (TensorSpec("scores", "float32", ("B", 3)), TensorSpec("token_ids", "int32", ("B", 3))),
)
X = np.random.default_rng(0).normal(size=(120, 3)).astype("float32")


def outputs(x):
    return {"scores": x * 2, "token_ids": (x > 0).astype("int32")}


def changed(row, name, value):
    """A runtime that answers one row otherwise."""

    def run(_, inputs):
        found = outputs(inputs["x"])
        here = (inputs["x"] == X[row]).all(axis=1)
        found[name][here] = value(found[name][here])
        return found

    return run


def test_equal():
    found = compare(lambda _, inputs: outputs(inputs["x"]), SPEC, {"x": X}, outputs(X))
    assert (found.inputs, found.largest_difference, found.agreement) == (120, 0, 1)
    assert found.within_tolerance
    assert found.latency_ms > 0


@pytest.mark.parametrize(("scale", "within"), [(0.5, True), (2, False), (np.nan, False)])
def test_float_difference(scale, within):
    largest = np.abs(2 * X).max()
    run = changed(77, "scores", lambda scores: scores + scale * TOLERANCE * largest)
    found = compare(run, SPEC, {"x": X}, outputs(X))
    assert found.within_tolerance is within
    assert [text.split(" differs by ")[0] for text in found.differences] == ["scores"] * (
        not within
    )
    np.testing.assert_allclose(found.largest_difference, scale * TOLERANCE * largest, rtol=0.01)


def test_one_other_token_is_too_many():
    run = changed(119, "token_ids", lambda token_ids: 1 - token_ids)
    found = compare(run, SPEC, {"x": X}, outputs(X))
    assert not found.within_tolerance
    assert found.agreement == pytest.approx(119 / 120)
    assert found.differences == ("1 of 120 rows differ in token_ids (allowed: none)",)
    assert "differences" not in found.to_json()


def test_other_answer_is_counted():
    run = changed(5, "scores", lambda scores: -scores)
    assert compare(run, SPEC, {"x": X}, outputs(X)).agreement == pytest.approx(119 / 120)


def test_reference_file(tmp_path):
    save_reference(tmp_path / "p.npz", {"run": {"x": X}}, {"run": outputs(X)})
    with (tmp_path / "p.npz").open("rb") as file:
        inputs, expected = load_reference(file, {"run": SPEC})
    np.testing.assert_array_equal(inputs["run"]["x"], X)
    np.testing.assert_array_equal(expected["run"]["scores"], 2 * X)
