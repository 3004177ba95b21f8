"""How tf2onnx is called."""

import os

import keras
import numpy as np

from export.formats import onnx
from keras_seq import layers
from keras_seq.signature import Signature, TensorSpec


def test_a_pass_of_tf2onnx_that_fails_is_left_out(tmp_path, monkeypatch):
    from tf2onnx.optimizer import TransposeOptimizer

    optimize = TransposeOptimizer.optimize

    def fail(self, graph):
        raise KeyError("a bug")

    monkeypatch.setattr(TransposeOptimizer, "_optimize", fail)
    monkeypatch.delenv("TF2ONNX_CATCH_ERRORS", raising=False)
    layer = layers.LSTM(6)
    x = np.random.default_rng(0).normal(size=(2, 11, 5)).astype("float32")
    expected = keras.ops.convert_to_numpy(layer(x))
    signature = Signature(
        "run",
        (TensorSpec("x", "float32", ("B", "T", 5)),),
        (TensorSpec("y", "float32", ("B", 6)),),
        lambda x: {"y": layer(x)},
    )
    onnx.write([signature], tmp_path, {})
    found = onnx.Runner(tmp_path, 1)("run", {"x": x})
    np.testing.assert_allclose(found["y"], expected, atol=1e-6)
    assert "TF2ONNX_CATCH_ERRORS" not in os.environ
    assert TransposeOptimizer.optimize is optimize
