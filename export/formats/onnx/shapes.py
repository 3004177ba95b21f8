"""Shapes that an ONNX graph need not compute: tf2onnx asks a tensor for its sizes at every turn.

Each function changes a graph in place and leaves what nothing reads any more to the caller.
"""

from typing import Any

from export.formats.onnx.links import Links, replace

# What a size may pass on its way from `Shape` to where it is used.
PASSING = ("Cast", "Squeeze", "Unsqueeze")


def multiply_directly(graph: Any, constants: dict[str, Any]) -> None:
    """A product of `(…, D)` and a matrix is one MatMul, not one between two changes of shape."""
    from onnx import helper

    links = Links(graph, constants)
    for product in [node for node in graph.node if node.op_type == "MatMul"]:
        matrix = constants.get(product.input[1])
        before = links.maker(product.input[0], "Reshape")
        after = links.only_reader(product.output[0], "Reshape")
        if matrix is None or len(matrix.dims) != 2 or not before or not after:
            continue
        x, flat = before.input[0], links.numbers(before.input[1])
        shape = links.maker(after.input[1], "Concat", PASSING)
        kept = shape and links.maker(shape.input[0], "Gather", PASSING)
        sizes = kept and links.maker(kept.input[0], "Shape", PASSING)
        if not sizes or sizes.input[0] != x or len(shape.input) != 2:
            continue
        axes = links.numbers(kept.input[1])
        if (
            flat == [-1, matrix.dims[0]]
            and axes == list(range(len(axes or ())))
            and links.numbers(shape.input[1]) == [matrix.dims[1]]
        ):
            joined = helper.make_node(
                "MatMul", [x, product.input[1]], [after.output[0]], name=product.name
            )
            replace(graph, after, joined)


def copy_sizes(graph: Any, constants: dict[str, Any]) -> None:
    """A size that a Reshape takes from its own input, at the same axis, is 0: as it was."""
    links = Links(graph, constants)
    for node in [node for node in graph.node if node.op_type == "Reshape"]:
        shape = links.maker(node.input[1], "Concat", PASSING)
        if not shape:
            continue
        sizes: list[int | None] = []
        for part in shape.input:
            known = links.numbers(part)
            if known is None:
                same = _axis_of(links, part) == (node.input[0], len(sizes))
                sizes += [0] if same else [None]
            else:
                sizes += known
        if None in sizes:
            continue
        node.input[1] = _sizes(graph, node, sizes)


def join_reshapes(graph: Any, constants: dict[str, Any]) -> None:
    """A Squeeze of what was just given its shape is given that shape at once."""
    links = Links(graph, constants)
    for node in [node for node in graph.node if node.op_type == "Squeeze"]:
        before = links.maker(node.input[0], "Reshape")
        if not before or len(node.input) < 2:
            continue
        sizes, axes = links.numbers(before.input[1]), links.numbers(node.input[1])
        if not sizes or not axes or min(axes) < 0 or 0 in sizes:
            continue
        if links.only_reader(before.output[0], "Squeeze") is None:
            continue
        kept = [size for axis, size in enumerate(sizes) if axis not in axes]
        before.input[1] = _sizes(graph, node, kept)
        before.output[0] = node.output[0]
        graph.node.remove(node)


def _axis_of(links: Links, name: str) -> tuple[str, int] | None:
    """The tensor and its axis of which `name` is the size; None if it is no such size."""
    part = links.maker(name, "Slice", PASSING)
    shape = part and links.maker(part.input[0], "Shape", PASSING)
    if not shape:
        return None
    start, end = (links.numbers(name) for name in part.input[1:3])
    if start is None or end != [start[0] + 1]:
        return None
    return shape.input[0], start[0]


def _sizes(graph: Any, node: Any, sizes: list[int]) -> str:
    """The name of a new constant, the shape of what `node` gives."""
    import numpy as np
    from onnx import numpy_helper

    made = numpy_helper.from_array(np.array(sizes, "int64"), f"{node.output[0]}/sizes")
    graph.initializer.append(made)
    return made.name
