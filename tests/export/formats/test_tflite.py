"""What is special about TFLite."""

import tensorflow as tf

from export.formats import tflite


def test_operators_finds_what_is_not_built_in(tmp_path):
    """A converter allowed to use TensorFlow's operators is found out."""

    class Foreign(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3, 3], tf.float32)])
        def __call__(self, x):
            return tf.linalg.inv(x) + tf.tanh(x)

    module = Foreign()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    (tmp_path / "tflite").mkdir()
    (tmp_path / "tflite" / "model.tflite").write_bytes(converter.convert())
    found = tflite.operators(tmp_path)
    assert found["TANH"] == 1
    assert found["CUSTOM FlexMatrixInverse"] == 1
