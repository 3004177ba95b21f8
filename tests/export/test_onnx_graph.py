"""The simplified graph computes what the graph did, with the operators it should have."""

import copy
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.formats.onnx_graph import simplify

D = 6
G = np.random.default_rng(0)


def constant(name, value, dtype="float32"):
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def normalisation(x, out, epsilon="epsilon"):
    """As the layer writes it."""
    n = out
    return [
        helper.make_node("ReduceMean", [x, "axis"], [f"{n}/mean"]),
        helper.make_node("Sub", [x, f"{n}/mean"], [f"{n}/centred"]),
        helper.make_node("Mul", [f"{n}/centred", f"{n}/centred"], [f"{n}/square"]),
        helper.make_node("ReduceMean", [f"{n}/square", "axis"], [f"{n}/variance"]),
        helper.make_node("Add", [f"{n}/variance", epsilon], [f"{n}/total"]),
        helper.make_node("Sqrt", [f"{n}/total"], [f"{n}/root"]),
        helper.make_node("Div", [f"{n}/centred", f"{n}/root"], [f"{n}/quotient"]),
        helper.make_node("Mul", [f"{n}/quotient", "gamma"], [f"{n}/scaled"]),
        helper.make_node("Add", [f"{n}/scaled", "beta"], [out]),
    ]


def model():
    """A loop that multiplies by a weight it hands on, normalises, and looks up a row."""
    nodes = [
        helper.make_node("Reshape", ["w_in", "square"], ["matrix"]),
        helper.make_node("MatMul", ["x_in", "matrix"], ["product"]),
        *normalisation("product", "normal"),
        helper.make_node("Less", ["index", "zero"], ["is_negative"]),
        helper.make_node("Add", ["index", "rows"], ["moved"]),
        helper.make_node("Where", ["is_negative", "moved", "index"], ["place"]),
        helper.make_node("Gather", ["table", "place"], ["row"]),
        helper.make_node("Add", ["normal", "row"], ["x_out"]),
        helper.make_node("Identity", ["w_in"], ["w_out"]),
        helper.make_node("Identity", ["go_in"], ["go_out"]),
    ]
    float_, int_ = TensorProto.FLOAT, TensorProto.INT64
    body = helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("i", int_, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x_in", float_, None),
            helper.make_tensor_value_info("w_in", float_, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x_out", float_, None),
            helper.make_tensor_value_info("w_out", float_, None),
        ],
        [constant("square", [D, D], "int64"), constant("zero", 0, "int64")],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["count", "yes", "x", "weight"], ["y", "w"], body=body)],
        "main",
        [
            helper.make_tensor_value_info("x", float_, [2, D]),
            helper.make_tensor_value_info("index", int_, []),
        ],
        [helper.make_tensor_value_info("y", float_, [2, D])],
        [
            constant("count", 3, "int64"),
            constant("yes", True, "bool"),
            constant("weight", G.normal(size=(D * D,))),
            constant("gamma", G.normal(size=D)),
            constant("beta", G.normal(size=D)),
            constant("epsilon", 1e-5),
            constant("axis", [-1], "int64"),
            constant("rows", 4, "int64"),
            constant("table", G.normal(size=(4, D))),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def run(made, **inputs):
    session = onnxruntime.InferenceSession(made.SerializeToString())
    return session.run(None, inputs)[0]


def operators(made):
    return Counter(node.op_type for node in body_of(made).node)


def test_fewer_operators_the_same_values():
    before = model()
    after = copy.deepcopy(before)
    simplify(after)
    onnx.checker.check_model(after)
    assert operators(after) == Counter(
        {"MatMul": 1, "LayerNormalization": 1, "Gather": 1, "Add": 1, "Identity": 1}
    )
    assert len(after.graph.node[0].input) == 3
    x = G.normal(size=(2, D)).astype("float32")
    for index in (2, -1):
        inputs = {"x": x, "index": np.array(index, "int64")}
        np.testing.assert_allclose(run(after, **inputs), run(before, **inputs), atol=1e-5)


def test_what_is_no_normalisation_stays():
    made = model()
    next(node for node in body_of(made).node if node.op_type == "Sqrt").op_type = "Exp"
    expected = run(made, x=np.ones((2, D), "float32"), index=np.array(0, "int64"))
    simplify(made)
    assert operators(made)["LayerNormalization"] == 0
    found = run(made, x=np.ones((2, D), "float32"), index=np.array(0, "int64"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def body_of(made):
    return next(a.g for a in made.graph.node[0].attribute if a.name == "body")


def replace(made, name, value, dtype="float32"):
    tensors = [*made.graph.initializer, *body_of(made).initializer]
    tensor = next(tensor for tensor in tensors if tensor.name == name)
    tensor.CopyFrom(constant(name, value, dtype))


@pytest.mark.parametrize(("name", "value", "index"), [("zero", 1, 0), ("rows", 3, -1)])
def test_another_choice_of_an_index_stays(name, value, index):
    """`where(i < 1, i + 4, i)`, or a step that is not the number of rows, is the model's own."""
    made = model()
    replace(made, name, value, "int64")
    if name == "zero":  # the fifth row is read
        replace(made, "table", np.arange(8 * D).reshape(8, D))
    inputs = {"x": np.ones((2, D), "float32"), "index": np.array(index, "int64")}
    expected = run(made, **inputs)
    simplify(made)
    assert operators(made)["Where"] == 1
    np.testing.assert_allclose(run(made, **inputs), expected, atol=1e-5)


def test_a_scale_that_is_no_vector_stays():
    made = model()
    replace(made, "gamma", G.normal(size=(2, D)))
    inputs = {"x": G.normal(size=(2, D)).astype("float32"), "index": np.array(1, "int64")}
    expected = run(made, **inputs)
    simplify(made)
    assert operators(made)["LayerNormalization"] == 0
    np.testing.assert_allclose(run(made, **inputs), expected, atol=1e-5)
