"""The simplified graph computes what the graph did, with the operators it should have."""

import copy
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.formats.onnx.graph import simplify

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
    """Before the loop, and in its body."""
    before = [node for node in made.graph.node if node.op_type != "Loop"]
    return tuple(Counter(node.op_type for node in part) for part in (before, body_of(made).node))


def test_fewer_operators_the_same_values():
    before = model()
    after = copy.deepcopy(before)
    simplify(after)
    onnx.checker.check_model(after)
    assert operators(after) == (
        Counter({"Gather": 1}),
        Counter({"MatMul": 1, "LayerNormalization": 1, "Add": 1, "Identity": 1}),
    )
    assert len(loop_of(after).input) == 3
    x = G.normal(size=(2, D)).astype("float32")
    for index in (2, -1):
        inputs = {"x": x, "index": np.array(index, "int64")}
        np.testing.assert_allclose(run(after, **inputs), run(before, **inputs), atol=1e-5)


def test_what_is_no_normalisation_stays():
    made = model()
    next(node for node in body_of(made).node if node.op_type == "Sqrt").op_type = "Exp"
    expected = run(made, x=np.ones((2, D), "float32"), index=np.array(0, "int64"))
    simplify(made)
    assert operators(made)[1]["LayerNormalization"] == 0
    found = run(made, x=np.ones((2, D), "float32"), index=np.array(0, "int64"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def body_of(made):
    return next(a.g for a in loop_of(made).attribute if a.name == "body")


def loop_of(made):
    return next(node for node in made.graph.node if node.op_type == "Loop")


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
    assert operators(made)[0]["Where"] == 1
    np.testing.assert_allclose(run(made, **inputs), expected, atol=1e-5)


def test_a_scale_that_is_no_vector_stays():
    made = model()
    replace(made, "gamma", G.normal(size=(2, D)))
    inputs = {"x": G.normal(size=(2, D)).astype("float32"), "index": np.array(1, "int64")}
    expected = run(made, **inputs)
    simplify(made)
    assert operators(made)[1]["LayerNormalization"] == 0
    np.testing.assert_allclose(run(made, **inputs), expected, atol=1e-5)


def value(name, kind=TensorProto.FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def asking(axes=(0, 1), flat=(-1, D), part=1):
    """A product of (B, T, D) and a matrix, then heads, as tf2onnx writes them; a loop around it
    that adds what it makes of the input anew in each turn.
    """
    node = helper.make_node
    product = [
        node("Reshape", ["x", "flat"], ["rows"]),
        node("MatMul", ["rows", "matrix"], ["multiplied"]),
        node("Shape", ["x"], ["x_shape"]),
        node("Cast", ["x_shape"], ["x_sizes"], to=TensorProto.INT32),
        node("Gather", ["x_sizes", "axes"], ["kept"]),
        node("Concat", ["kept", "columns"], ["wanted_32"], axis=0),
        node("Cast", ["wanted_32"], ["wanted"], to=TensorProto.INT64),
        node("Reshape", ["multiplied", "wanted"], ["product"]),
    ]
    heads = [
        node("Shape", ["product"], ["shape"]),
        node("Slice", ["shape", "start", "stop", "first"], ["length"]),
        node("Concat", ["minus", "length", "two", "half"], ["headed"], axis=0),
        node("Reshape", ["product", "headed"], ["heads"]),
    ]
    turn = [
        *product,
        *heads,
        node("Reshape", ["y_in", "flat_one"], ["column"]),
        node("Squeeze", ["column", "second"], ["squeezed"]),
        node("Reshape", ["squeezed", "like"], ["again"]),
        node("Add", ["again", "heads"], ["y_out"]),
        node("Identity", ["go_in"], ["go_out"]),
    ]
    numbers = {
        "flat": flat,
        "axes": axes,
        "start": [part],
        "stop": [part + 1],
        "first": [0],
        "minus": [-1],
        "two": [2],
        "half": [2],
        "flat_one": [-1, 1, 2],
        "second": [1],
        "like": [2, 3, 2, 2],
    }
    constants = [constant(name, number, "int64") for name, number in numbers.items()]
    constants.append(constant("columns", [4], "int32"))
    body = helper.make_graph(
        turn,
        "body",
        [value("i", TensorProto.INT64, []), value("go_in", TensorProto.BOOL, []), value("y_in")],
        [value("go_out", TensorProto.BOOL, []), value("y_out")],
        constants,
    )
    graph = helper.make_graph(
        [node("Loop", ["count", "yes", "y"], ["z"], body=body)],
        "main",
        [value("x", shape=["B", "T", D]), value("y", shape=[None] * 4)],
        [value("z", shape=[None] * 4)],
        [
            constant("count", 3, "int64"),
            constant("yes", True, "bool"),
            constant("matrix", G.normal(size=(D, 4))),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made


INPUTS = {
    "x": G.normal(size=(2, 3, D)).astype("float32"),
    "y": G.normal(size=(2, 3, 2, 2)).astype("float32"),
}


def test_sizes_are_not_computed_and_what_stays_the_same_once():
    made = asking()
    expected = run(made, **INPUTS)
    simplify(made)
    onnx.checker.check_model(made, full_check=True)
    np.testing.assert_allclose(run(made, **INPUTS), expected, atol=1e-5)
    assert operators(made) == (
        Counter({"MatMul": 1, "Reshape": 1}),
        Counter({"Reshape": 2, "Add": 1, "Identity": 1}),
    )


@pytest.mark.parametrize("part", [0, 2])
def test_a_size_of_another_axis_is_computed(part):
    """Heads of B = T texts that are asked for in B rows, or of T = D, are no copy of a size."""
    rows, length = (3, 3) if part == 0 else (2, 4)
    x = G.normal(size=(rows, length, D)).astype("float32")
    y = G.normal(size=(rows, length, 2, 2)).astype("float32")
    made = asking(part=part)
    like = next(t for t in body_of(made).initializer if t.name == "like")
    like.CopyFrom(constant("like", y.shape, "int64"))
    expected = run(made, x=x, y=y)
    simplify(made)
    assert operators(made)[0]["Concat"] == 1
    np.testing.assert_allclose(run(made, x=x, y=y), expected, atol=1e-5)


def test_another_change_of_shape_around_a_product_stays():
    """(B, T, D) as (B, T · D / 3, 3) is multiplied in other rows than before."""
    made = asking(flat=(-1, 3))
    matrix = next(t for t in made.graph.initializer if t.name == "matrix")
    matrix.CopyFrom(constant("matrix", G.normal(size=(3, 2))))
    columns = next(t for t in body_of(made).initializer if t.name == "columns")
    columns.CopyFrom(constant("columns", [4], "int32"))
    expected = run(made, **INPUTS)
    simplify(made)
    np.testing.assert_allclose(run(made, **INPUTS), expected, atol=1e-5)


def test_a_shape_that_a_body_reads_stays():
    """A Squeeze outside is not joined with a Reshape that is read in a loop, too."""
    node = helper.make_node
    body = helper.make_graph(
        [node("Add", ["y_in", "column"], ["y_out"]), node("Identity", ["go_in"], ["go_out"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go_in", TensorProto.BOOL, []), value("y_in")],
        [value("go_out", TensorProto.BOOL, []), value("y_out")],
    )
    graph = helper.make_graph(
        [
            node("Reshape", ["x", "tall"], ["column"]),
            node("Squeeze", ["column", "last"], ["row"]),
            node("Loop", ["count", "yes", "row"], ["z"], body=body),
        ],
        "main",
        [value("x", shape=[2, 3])],
        [value("z", shape=[None] * 2)],
        [
            constant("tall", [6, 1], "int64"),
            constant("last", [1], "int64"),
            constant("count", 1, "int64"),
            constant("yes", True, "bool"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    x = G.normal(size=(2, 3)).astype("float32")
    expected = x.reshape(6) + x.reshape(6, 1)
    np.testing.assert_allclose(run(made, x=x), expected, atol=1e-6)
    simplify(made)
    onnx.checker.check_model(made, full_check=True)
    np.testing.assert_allclose(run(made, x=x), expected, atol=1e-6)


def plain(nodes, constants, output=TensorProto.FLOAT, rows=(2, None)):
    """Nodes from x `(2, D)` to y, without a loop."""
    shapes = [value("x", shape=[2, D])], [value("y", output, rows)]
    graph = helper.make_graph(nodes, "main", *shapes, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def kinds(made):
    return Counter(node.op_type for node in made.graph.node)


@pytest.mark.parametrize(("axis", "left"), [(-1, {"ArgMax"}), (0, {"ReduceMax", "ArgMax"})])
def test_the_place_of_the_largest(axis, left):
    """The first of several; what is the largest along another axis is another question."""
    node = helper.make_node
    made = plain(
        [
            node("ReduceMax", ["x", "axes"], ["largest"], keepdims=1),
            node("Equal", ["x", "largest"], ["same"]),
            node("Cast", ["same"], ["ones"], to=TensorProto.INT32),
            node("ArgMax", ["ones"], ["y"], axis=-1, keepdims=0),
        ],
        [constant("axes", [axis], "int64")],
        TensorProto.INT64,
        [2],
    )
    x = np.array([[0, 3, 3, 1, 3, 2], [5, 1, 4, 5, 0, 2]], "float32")
    expected = run(made, x=x)
    simplify(made)
    assert left == set(kinds(made)) - {"Equal", "Cast"}
    np.testing.assert_array_equal(run(made, x=x), expected)


@pytest.mark.parametrize(("other", "left"), [(1.5, 1), (2.5, 2)])
def test_what_is_computed_twice_is_computed_once(other, left):
    """Where constants of other names hold the same."""
    node = helper.make_node
    made = plain(
        [
            node("Mul", ["x", "a"], ["one"]),
            node("Mul", ["x", "b"], ["two"]),
            node("Exp", ["one"], ["three"]),
            node("Exp", ["two"], ["four"]),
            node("Sub", ["three", "four"], ["five"]),
            node("Add", ["five", "x"], ["y"]),
        ],
        [constant("a", 1.5), constant("b", other)],
    )
    x = G.normal(size=(2, D)).astype("float32")
    expected = run(made, x=x)
    simplify(made)
    assert kinds(made) == {"Mul": left, "Exp": left, "Sub": 1, "Add": 1}
    np.testing.assert_allclose(run(made, x=x), expected, rtol=1e-6)


def test_weights_side_by_side_are_stored_so():
    node = helper.make_node
    made = plain(
        [
            node("Reshape", ["a", "square"], ["first"]),
            node("Concat", ["first", "b"], ["both"], axis=1),
            node("MatMul", ["x", "both"], ["y"]),
        ],
        [
            constant("a", G.normal(size=D * D)),
            constant("b", G.normal(size=(D, 2))),
            constant("square", [D, -1], "int64"),
        ],
    )
    x = G.normal(size=(2, D)).astype("float32")
    expected = run(made, x=x)
    simplify(made)
    assert kinds(made) == {"MatMul": 1}
    assert [list(t.dims) for t in made.graph.initializer] == [[D, D + 2]]
    np.testing.assert_allclose(run(made, x=x), expected, rtol=1e-5)


def test_small_weights_of_a_loop_stand_in_its_body():
    """Large ones stay outside, where all files find them in `weights.bin`, a browser's, too."""
    made = model()
    replace(made, "table", G.normal(size=(200, D)))
    next(n for n in body_of(made).node if n.op_type == "Gather").input[1] = "i"
    inputs = {"x": np.ones((2, D), "float32"), "index": np.array(2, "int64")}
    expected = run(made, **inputs)
    simplify(made)
    onnx.checker.check_model(made)
    outside, inside = (
        sorted(len(t.raw_data) for t in graph.initializer if t.data_type == TensorProto.FLOAT)
        for graph in (made.graph, body_of(made))
    )
    assert outside == [4 * 200 * D]
    assert inside == [4 * D, 4 * D, 4 * D * D]  # γ, β and the matrix
    np.testing.assert_allclose(run(made, **inputs), expected, atol=1e-5)
