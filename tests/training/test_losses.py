import keras
import numpy as np
import pytest

from keras_seq.training import CrossEntropy

G = np.random.default_rng(1)
LOGITS = G.normal(size=(5, 3, 7)).astype("float32")
P = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
Y = G.integers(0, 7, (5, 3))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("from_logits", [True, False])
def test_equals_keras_on_one_hot_labels(smoothing, from_logits):
    loss = CrossEntropy(smoothing, from_logits)
    stock = keras.losses.CategoricalCrossentropy(from_logits, label_smoothing=smoothing)
    predicted = LOGITS if from_logits else P
    weight = G.random((5, 3)).astype("float32")
    for w in (None, weight):
        expected = stock(np.eye(7)[Y], predicted, sample_weight=w)
        np.testing.assert_allclose(loss(Y, predicted, sample_weight=w), expected, rtol=1e-5)


def test_a_probability_of_zero_is_finite():
    assert np.isfinite(CrossEntropy()(np.array([0]), np.array([[0.0, 1.0]], "float32")))


def test_config():
    loss = CrossEntropy(0.2, True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert (again.label_smoothing, again.from_logits) == (0.2, True)
