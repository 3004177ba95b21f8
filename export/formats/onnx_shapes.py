"""Shapes that an ONNX graph need not compute: tf2onnx asks a tensor for its sizes at every turn.

Each function changes a graph in place and leaves what nothing reads any more to the caller.
"""

from typing import Any

# What a size may pass on its way from `Shape` to where it is used.
PASSING = ("Cast", "Squeeze", "Unsqueeze")


class Links:
    """Who makes and who reads each tensor of a graph.

    Args:
        graph: As it is now.
        constants: Tensors by name, those of the graphs around it as well.
    """

    def __init__(self, graph: Any, constants: dict[str, Any]) -> None:
        self.made_by = {output: node for node in graph.node for output in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}
        self.constants = constants

    def values(self, name: str) -> list[int] | None:
        """A constant's numbers; None if `name` is none."""
        from onnx import numpy_helper

        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor).reshape(-1).tolist()

    def source(self, name: str, kind: str) -> Any:
        """The node of that kind that makes `name`, casts and single axes aside; or None."""
        node = self.made_by.get(name)
        while node is not None and node.op_type != kind and node.op_type in PASSING:
            node = self.made_by.get(node.input[0])
        return node if node is not None and node.op_type == kind else None

    def only_reader(self, name: str, kind: str) -> Any:
        """The one node that reads `name`, if it is of that kind; else None."""
        found = self.readers.get(name, [])
        only = len(found) == 1 and name not in self.outputs and found[0].op_type == kind
        return found[0] if only else None

    def axis_of(self, name: str) -> tuple[str, int] | None:
        """The tensor and its axis of which `name` is the size; None if it is no such size."""
        part = self.source(name, "Slice")
        shape = part and self.source(part.input[0], "Shape")
        if not shape:
            return None
        start, end = (self.values(name) for name in part.input[1:3])
        if start is None or end != [start[0] + 1]:
            return None
        return shape.input[0], start[0]


def multiply_directly(graph: Any, constants: dict[str, Any]) -> None:
    """A product of `(…, D)` and a matrix is one MatMul, not one between two changes of shape."""
    from onnx import helper

    links = Links(graph, constants)
    for product in [node for node in graph.node if node.op_type == "MatMul"]:
        matrix = constants.get(product.input[1])
        before = links.made_by.get(product.input[0])
        after = links.only_reader(product.output[0], "Reshape")
        if matrix is None or len(matrix.dims) != 2 or not after:
            continue
        if before is None or before.op_type != "Reshape":
            continue
        x, flat = before.input[0], links.values(before.input[1])
        shape = links.source(after.input[1], "Concat")
        kept = shape and links.source(shape.input[0], "Gather")
        sizes = kept and links.source(kept.input[0], "Shape")
        if not sizes or sizes.input[0] != x or len(shape.input) != 2:
            continue
        axes = links.values(kept.input[1])
        if (
            flat == [-1, matrix.dims[0]]
            and axes == list(range(len(axes or ())))
            and links.values(shape.input[1]) == [matrix.dims[1]]
        ):
            joined = helper.make_node(
                "MatMul", [x, product.input[1]], [after.output[0]], name=product.name
            )
            replace(graph, after, joined)


def copy_sizes(graph: Any, constants: dict[str, Any]) -> None:
    """A size that a Reshape takes from its own input, at the same axis, is 0: as it was."""
    links = Links(graph, constants)
    for node in [node for node in graph.node if node.op_type == "Reshape"]:
        shape = links.source(node.input[1], "Concat")
        if not shape:
            continue
        sizes: list[int | None] = []
        for part in shape.input:
            known = links.values(part)
            if known is None:
                same = links.axis_of(part) == (node.input[0], len(sizes))
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
        before = links.made_by.get(node.input[0])
        if before is None or before.op_type != "Reshape" or len(node.input) < 2:
            continue
        sizes, axes = links.values(before.input[1]), links.values(node.input[1])
        if not sizes or not axes or min(axes) < 0 or 0 in sizes:
            continue
        if links.only_reader(before.output[0], "Squeeze") is None:
            continue
        kept = [size for axis, size in enumerate(sizes) if axis not in axes]
        before.input[1] = _sizes(graph, node, kept)
        before.output[0] = node.output[0]
        graph.node.remove(node)


def _sizes(graph: Any, node: Any, sizes: list[int]) -> str:
    """The name of a new constant, the shape of what `node` gives."""
    import numpy as np
    from onnx import numpy_helper

    made = numpy_helper.from_array(np.array(sizes, "int64"), f"{node.output[0]}/sizes")
    graph.initializer.append(made)
    return made.name


def replace(graph: Any, old: Any, new: Any) -> None:
    """Puts the node `new` where `old` stood."""
    place = list(graph.node).index(old)
    graph.node.remove(old)
    graph.node.insert(place, new)
