import math

import keras
import numpy as np
import pytest

from keras_seq.training import LearningRate, TrainingSettings


def rates(schedule, warmup, total=100):
    rate = LearningRate(0.5, schedule, warmup, total)
    return np.array([float(rate(step)) for step in range(total)])


@pytest.mark.parametrize("warmup", [0, 1, 20])
def test_equations(warmup):
    w = max(warmup, 1)
    t = np.arange(1, 101)
    rise = np.minimum(t / w, 1)
    expected = {
        "constant": 0.5 * rise,
        "inverse_sqrt": 0.5 * np.minimum(t / w, np.sqrt(w / t)),
        "cosine": 0.5
        * np.where(t < w, t / w, [(1 + math.cos(math.pi * (s - w) / (100 - w))) / 2 for s in t]),
    }
    for schedule, values in expected.items():
        np.testing.assert_allclose(rates(schedule, warmup), values, rtol=1e-5, atol=1e-7)


def test_cosine_ends_at_zero_and_warmup_rises():
    found = rates("cosine", 10)
    assert abs(found[-1]) < 1e-7
    assert (np.diff(found[:10]) > 0).all()
    assert (np.diff(found[10:]) < 0).all()


def test_config_and_error():
    rate = LearningRate(0.1, "cosine", 5, 50)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    assert float(again(30)) == float(rate(30))
    with pytest.raises(ValueError, match="Received: 'linear'"):
        LearningRate(0.1, "linear", 5, 50)


@pytest.mark.parametrize(
    ("total", "warmup", "average"),
    [(5, 0, 0.0), (30, 3, 2 / 3), (1000, 100, 0.99), (10**6, 100, 0.99)],
)
def test_warmup_and_average_suit_the_length_of_the_run(total, warmup, average):
    settings = TrainingSettings(warmup_steps=None, average=None).for_steps(total)
    assert (settings.warmup_steps, settings.average) == (warmup, pytest.approx(average))
    chosen = TrainingSettings(warmup_steps=7, average=0.5)
    assert chosen.for_steps(total) == chosen
