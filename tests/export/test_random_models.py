"""Random models: what stands for Keras's layers computes what they compute, in files, too."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.coverage import RIGHT, WRONG, try_case
from benchmarks.random_models import ModelDrawer, draw_model
from export.keras_layers import patched_keras_layers

LENGTHS = (6, 4, 2, 1, 0)  # of rows: the steps behind are 0, which masks them


def draw_rows(model):
    generator = np.random.default_rng(0)
    rows = []
    for tensor in model.inputs:
        shape = [len(LENGTHS), *(size or 6 for size in tensor.shape[1:])]
        numbers = (
            generator.integers(1, 11, shape)
            if tensor.dtype == "int32"
            else generator.normal(size=shape)
        )
        for row, length in zip(numbers, LENGTHS, strict=True):
            row[length:] = 0
        rows.append(keras.ops.convert_to_tensor(numbers.astype(tensor.dtype)))
    return rows if len(rows) > 1 else rows[0]


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_stands_for_a_layer_computes_what_it_does(draw):
    keras.utils.set_random_seed(0)
    model = ModelDrawer(draw).model()
    rows = draw_rows(model)
    expected = keras.tree.flatten(model(rows))
    with patched_keras_layers():
        found = keras.tree.flatten(model(rows))
    for array, reference in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(reference).max()))
        np.testing.assert_allclose(array, reference, atol=1e-4 * scale, rtol=0)


def test_a_seed_draws_the_same_model():
    first, second = draw_model(7), draw_model(7)
    assert first.to_json() == second.to_json()
    rows = draw_rows(first)
    np.testing.assert_array_equal(*(keras.tree.flatten(m(rows))[0] for m in (first, second)))
    others = [keras.Model.from_config(draw_model(s).get_config()).count_params() for s in range(5)]
    assert len(set(others)) > 3


@pytest.mark.slow
def test_random_models_are_exported(full):
    outcomes = [try_case(lambda seed=seed: draw_model(seed)) for seed in range(60 if full else 2)]
    found = [outcome for by_format in outcomes for outcome in by_format.values()]
    assert not [outcome.message for outcome in found if outcome.kind == WRONG]
    assert sum(outcome.kind == RIGHT for outcome in found) > 0.8 * len(found)


@pytest.mark.parametrize("kind", [keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN])
@pytest.mark.parametrize("back", [False, True])
def test_a_loop_without_steps_masks_as_keras_does(kind, back):
    """Keras itself masks outputs otherwise where it unrolls a loop that goes backwards."""
    inputs = keras.Input((6, 3))
    options = {"go_backwards": back, "zero_output_for_mask": True, "return_sequences": True}
    masked = keras.layers.Masking()(inputs)
    model = keras.Model(
        inputs, [kind(4, unroll=unroll, **options)(masked) for unroll in (True, False)]
    )
    rows = draw_rows(model)
    expected = model(rows)
    with patched_keras_layers():
        found = model(rows)
    for array, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, reference, atol=1e-5)
