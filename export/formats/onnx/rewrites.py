"""Rewrites of an ONNX graph, as a table of patterns and the node that replaces each.

A pattern is `(operator, input, …)`. An input is a pattern or a name, which captures a tensor; where
a name occurs again, it must be the same tensor. "~Operator" may have operators behind it that pass
a size on. The inputs of commutative operators match in either order.
"""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from export.formats.onnx.links import Links, array_of, replace

Pattern = tuple[Any, ...]
Captures = dict[str, str]

COMMUTATIVE = ("Add", "Mul", "Equal")
PASSING = ("Cast", "Squeeze", "Unsqueeze")  # what a size may pass between `Shape` and its use


def apply_rewrites(graph: Any, constants: dict[str, Any]) -> None:
    """Applies every rewrite wherever its pattern matches; leaves nodes that nothing reads any more.

    Args:
        graph: Graph to change.
        constants: Tensors by name, those of the graphs around it as well.
    """
    for pattern, rewrite in REWRITES:
        links = Links(graph, constants)
        for root in [node for node in graph.node if node.op_type == pattern[0]]:
            captures: Captures = {}
            if _match_inputs(links, root, pattern, captures):
                new = rewrite(graph, links, root, captures)
                if new is not None:
                    replace(graph, root, new)


def _match_inputs(links: Links, node: Any, pattern: Pattern, captures: Captures) -> bool:
    if len(node.input) < len(pattern) - 1:
        return False
    inputs = node.input[: len(pattern) - 1]
    for order in permutations(inputs) if node.op_type in COMMUTATIVE else (inputs,):
        attempt = dict(captures)
        if all(_match(links, *pair, attempt) for pair in zip(order, pattern[1:], strict=True)):
            captures.update(attempt)
            return True
    return False


def _match(links: Links, name: str, pattern: str | Pattern, captures: Captures) -> bool:
    if isinstance(pattern, str):
        return captures.setdefault(pattern, name) == name
    through = PASSING if pattern[0].startswith("~") else ()
    node = links.producer(name, pattern[0].lstrip("~"), through)
    return node is not None and _match_inputs(links, node, pattern, captures)


CENTRED = ("Sub", "x", ("ReduceMean", "x", "axis"))
VARIANCE = ("ReduceMean", ("Mul", "centred", "centred"), "axis_of_variance")
NORMALIZATION = (
    "Add",
    ("Mul", ("Div", "centred", ("Sqrt", ("Add", VARIANCE, "epsilon"))), "gamma"),
    "beta",
)


def fuse_layer_normalization(graph: Any, links: Links, root: Any, captures: Captures) -> Any:
    """(x - mean) / sqrt(mean((x - mean)²) + ε) · γ + β is LayerNormalization."""
    if not _match(links, captures["centred"], CENTRED, captures):
        return None
    vectors = [links.constant(captures[name]) for name in ("gamma", "beta")]
    epsilon = links.constant(captures["epsilon"])
    axes = [links.constant_values(captures[name]) for name in ("axis", "axis_of_variance")]
    # The operator takes vectors over the last axis, and no computed ones.
    is_vector = all(vector is not None and len(vector.dims) == 1 for vector in vectors)
    if epsilon is None or not is_vector or axes != [[-1], [-1]]:
        return None
    return helper.make_node(
        "LayerNormalization",
        [captures["x"], captures["gamma"], captures["beta"]],
        root.output,
        name=root.name,
        axis=-1,
        epsilon=float(array_of(epsilon).item()),
    )


def drop_equal_before_argmax(graph: Any, links: Links, root: Any, captures: Captures) -> Any:
    """argmax(x = max(x)) is argmax(x): the first of the largest, too."""
    if links.constant_values(captures["axes"]) != [_attribute(root, "axis", 0)]:
        return None
    return _copy_node(root, 0, captures["x"])


def drop_index_shift(graph: Any, links: Links, root: Any, captures: Captures) -> Any:
    """An index i need not be where(i < 0, i + n, i): `Gather` counts from the end itself."""
    table = links.constant(captures["table"])
    compared = links.producer(captures["compared"], "Cast")  # in another integer type
    index = captures["compared"] if compared is None else compared.input[0]
    rows = table and [table.dims[_attribute(root, "axis", 0)]]
    is_shift = captures["index"] in (captures["compared"], index)
    zero, shift = (links.constant_values(captures[name]) for name in ("zero", "rows"))
    if not is_shift or zero != [0] or shift != rows:
        return None
    return _copy_node(root, 1, captures["index"])


def drop_reshapes_around_matmul(graph: Any, links: Links, root: Any, captures: Captures) -> Any:
    """A product of `(…, D)` and a matrix is one MatMul, not one between two Reshapes."""
    matrix = links.constant(captures["matrix"])
    product = links.producer(root.input[0], "MatMul")
    if matrix is None or len(matrix.dims) != 2 or links.only_reader(root.input[0]) is None:
        return None
    if not _match(links, root.input[1], OUTER_SHAPE, captures):
        return None
    flat, axes, width = (links.constant_values(captures[n]) for n in ("flat", "axes", "width"))
    if len(links.producer(root.input[1], "Concat", PASSING).input) != 2:
        return None
    if flat != [-1, matrix.dims[0]] or width != [matrix.dims[1]]:
        return None
    if axes != list(range(len(axes or ()))):
        return None
    return helper.make_node(
        "MatMul", [captures["x"], captures["matrix"]], root.output, name=product.name
    )


OUTER_SHAPE = ("~Concat", ("~Gather", ("~Shape", "x"), "axes"), "width")


def copy_input_sizes(graph: Any, links: Links, root: Any, captures: Captures) -> Any:
    """A size that a Reshape takes from the same axis of its own input is 0: as it was."""
    shape = links.producer(captures["shape"], "Concat", PASSING)
    sizes: list[int | None] = []
    for part in shape.input if shape else ():
        known = links.constant_values(part)
        if known is None:
            is_same = _find_axis(links, part) == (captures["x"], len(sizes))
            known = [0] if is_same else [None]
        sizes += known
    if not sizes or None in sizes:
        return None
    return _copy_node(root, 1, _add_sizes(graph, root, sizes))


def fold_squeeze_into_reshape(graph: Any, links: Links, root: Any, captures: Captures) -> Any:
    """A Squeeze after a Reshape is a Reshape to the smaller shape."""
    sizes, axes = (links.constant_values(captures[name]) for name in ("sizes", "axes"))
    if not sizes or not axes or min(axes) < 0 or 0 in sizes:
        return None
    if links.only_reader(root.input[0]) is None:
        return None
    rest = [size for axis, size in enumerate(sizes) if axis not in axes]
    inputs = [captures["x"], _add_sizes(graph, root, rest)]
    return helper.make_node("Reshape", inputs, root.output, name=root.name)


REWRITES: tuple[tuple[Pattern, Callable[..., Any]], ...] = (
    (NORMALIZATION, fuse_layer_normalization),
    (("ArgMax", ("~Equal", "x", ("ReduceMax", "x", "axes"))), drop_equal_before_argmax),
    (
        (
            "Gather",
            "table",
            ("Where", ("Less", "compared", "zero"), ("Add", "index", "rows"), "index"),
        ),
        drop_index_shift,
    ),
    (
        ("Reshape", ("MatMul", ("Reshape", "x", "flat"), "matrix"), "shape"),
        drop_reshapes_around_matmul,
    ),
    (("Reshape", "x", "shape"), copy_input_sizes),
    (("Squeeze", ("Reshape", "x", "sizes"), "axes"), fold_squeeze_into_reshape),
)


def _find_axis(links: Links, name: str) -> tuple[str, int] | None:
    """Returns the tensor and the axis whose size `name` is; None if it isn't the size of one."""
    part = links.producer(name, "Slice", PASSING)
    shape = part and links.producer(part.input[0], "Shape", PASSING)
    if not shape:
        return None
    start, end = (links.constant_values(name) for name in part.input[1:3])
    return (shape.input[0], start[0]) if start and end == [start[0] + 1] else None


def _add_sizes(graph: Any, node: Any, sizes: list[int]) -> str:
    """Adds a shape for the output of `node` as a constant; returns its name."""
    tensor = numpy_helper.from_array(np.array(sizes, "int64"), f"{node.output[0]}/sizes")
    graph.initializer.append(tensor)
    return tensor.name


def _attribute(node: Any, name: str, default: int) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)


def _copy_node(node: Any, i: int, name: str) -> Any:
    """Returns the node with `name` as its input `i`."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.input[i] = name
    return copy
