"""What is special about TFLite."""

import re

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

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


def test_every_operator_of_a_variable_is_foreign():
    names = [name for name in vars(schema.BuiltinOperator) if name.isupper()]
    foreign = {name for name in names if re.match(tflite.FOREIGN, name)}
    assert foreign >= {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "CUSTOM"}
    variables = {name for name in names if re.search("VAR_|VARIABLE", name)}
    assert variables <= foreign
    assert re.match(tflite.FOREIGN, "VARIABLE TENSOR")
