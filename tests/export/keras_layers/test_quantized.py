"""Models that Keras has quantized, in formats without its int8 operators."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.export.helpers import assert_exports, assert_refused


def make_model():
    ids = keras.Input((6,), dtype="int32", name="ids")
    x = layers.Embedding(20, 8)(ids)
    x = layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(ids, layers.Dense(4)(layers.Dense(16, activation="relu")(x)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["int8", pytest.param("int4", marks=pytest.mark.full)])
def test_a_quantized_model(tmp_path, mode):
    model = make_model()
    model.quantize(mode)
    ids = np.random.default_rng(0).integers(0, 20, (2, 6)).astype("int32")
    assert_exports(model, tmp_path / "b", {"ids": ids})


@pytest.mark.filterwarnings("ignore")
def test_float8_is_refused_by_its_name(tmp_path):
    x = keras.Input((3,))
    model = keras.Model(x, layers.Dense(4, name="head")(x))
    model.quantize("float8")
    assert_refused(model, tmp_path, "'head' .Dense.*float8.*int8", ["tflite", "onnx"])
