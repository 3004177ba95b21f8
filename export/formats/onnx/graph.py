"""Makes an ONNX graph compute the same values with fewer operators, each of which takes its time.

onnxruntime does some of this itself, but not in the body of a loop, whose weights are outside.
"""

from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from export.formats.onnx.links import array_of, graphs, loops
from export.formats.onnx.rewrites import apply_rewrites

LARGE_BYTES = 4096


def simplify(model: Any) -> None:
    """Changes `model` in place.

    - A loop reads its weights from outside instead of handing them from turn to turn.
    - A weight that is reshaped, or concatenated with others, is stored in that form.
    - Common subexpressions are computed once.
    - Operators that together are one become one; see `rewrites`.
    - Loop-invariant code moves out of the loop.
    - Small weights of a loop become constants of its body: those from outside are handed in at
      every turn.
    - Dead code goes.
    """
    for graph in list(graphs(model.graph)):
        _externalize_constants(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for graph in list(graphs(model.graph)):
        constants = weights | {tensor.name: tensor for tensor in graph.initializer}
        _fold_weights(model.graph, graph, constants)
        _merge_equal(graph, constants)
        apply_rewrites(graph, constants)
    for graph in reversed(list(graphs(model.graph))):  # inner loops first
        _hoist_invariants(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for graph in list(graphs(model.graph)):
        _inline_weights(graph, weights)
    _drop_unused(model.graph)


def _externalize_constants(graph: Any) -> None:
    """Makes loops read from outside what their bodies return unchanged."""
    for loop, body in loops(graph):
        copies = {n.output[0]: n.input[0] for n in body.node if n.op_type == "Identity"}
        for i in reversed(range(len(loop.input) - 2)):
            inside, returned = body.input[2 + i].name, body.output[1 + i].name
            if returned != inside and copies.get(returned) != inside:
                continue
            outside = loop.input[2 + i]
            _rename_uses(graph, loop.output[i], outside)
            for values, place in (
                (body.input, 2 + i),
                (body.output, 1 + i),
                (loop.input, 2 + i),
                (loop.output, i),
            ):
                del values[place]
            _rename_uses(body, inside, outside)


def _fold_weights(main: Any, graph: Any, constants: dict[str, Any]) -> None:
    """Stores a weight, or several, in the form that a Reshape or a Concat gives them."""

    def store(array: Any, name: str) -> str:
        """Returns the name of the weight, that of an equal one if there is one."""
        initializer = numpy_helper.from_array(array, name)
        content = initializer.data_type, initializer.dims, initializer.raw_data
        for weight in main.initializer:
            if (weight.data_type, weight.dims, weight.raw_data) == content:
                initializer = weight
                break
        else:
            main.initializer.append(initializer)
        constants[initializer.name] = initializer
        return initializer.name

    for node in [n for n in graph.node if n.op_type in ("Reshape", "Concat")]:
        operands = [constants.get(name) for name in node.input]
        if None in operands:
            continue
        array = _fold(node, [array_of(tensor) for tensor in operands])
        _rename_uses(graph, node.output[0], store(array, f"{node.output[0]}/weight"))
        graph.node.remove(node)


def _fold(node: Any, arrays: list[Any]) -> Any:
    """Returns the result of a Reshape or a Concat of constants."""
    if node.op_type == "Concat":
        return np.concatenate(arrays, axis=node.attribute[0].i)
    array, wanted = arrays
    return array.reshape(
        [array.shape[i] if size == 0 else int(size) for i, size in enumerate(wanted)]
    )


def _merge_equal(graph: Any, constants: dict[str, Any]) -> None:
    """Merges nodes of one operator with equal inputs; constants of equal content are equal."""

    def same(name: str) -> Any:
        tensor = constants.get(name)
        if tensor is None or not tensor.raw_data or len(tensor.raw_data) >= LARGE_BYTES:
            return name
        return tensor.data_type, tuple(tensor.dims), tensor.raw_data

    first_nodes: dict[Any, Any] = {}
    for node in list(graph.node):
        if node.op_type.startswith("Random") or any(a.HasField("g") for a in node.attribute):
            continue
        attributes = tuple(sorted(a.SerializeToString() for a in node.attribute))
        key = (node.op_type, node.domain, *map(same, node.input), attributes, len(node.output))
        first = first_nodes.setdefault(key, node)
        if first is not node:
            for old, new in zip(node.output, first.output, strict=True):
                _rename_uses(graph, old, new)
            graph.node.remove(node)


def _rename_uses(graph: Any, old: str, new: str) -> None:
    for part in graphs(graph):
        for node in part.node:
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new
        if any(value.name == old for value in part.output):
            # An output has to keep its name.
            part.node.append(helper.make_node("Identity", [new], [old]))


def _hoist_invariants(graph: Any) -> None:
    """Moves nodes that do not depend on the turn out of the loops in `graph`."""
    for loop, body in loops(graph):
        constants = {tensor.name: tensor for tensor in body.initializer}
        inside = {value.name for value in body.input}
        needed = {value.name for value in body.output}
        moved, stay = [], []
        for node in body.node:
            has_body = any(attribute.HasField("g") for attribute in node.attribute)
            if has_body or inside & set(node.input) or needed & set(node.output):
                inside |= set(node.output)
                stay.append(node)
            else:
                moved.append(node)
        renamed = {
            name: f"{loop.output[0]}/{name}"
            for node in moved
            for name in node.input
            if name in constants
        }
        for name, outside in renamed.items():
            copy = graph.initializer.add()
            copy.CopyFrom(constants[name])
            copy.name = outside
        for node in moved:
            for i, name in enumerate(node.input):
                node.input[i] = renamed.get(name, name)
        place = list(graph.node).index(loop)
        for node in reversed(moved):
            graph.node.insert(place, node)
        del body.node[:]
        body.node.extend(stay)


def _inline_weights(graph: Any, weights: dict[str, Any]) -> None:
    """Copies small weights into the bodies of the loops that read them.

    Large ones stay outside: in a browser onnxruntime does not look for those of a body in
    `weights.bin`.
    """
    for loop, body in loops(graph):
        inside = {tensor.name: tensor.name for tensor in body.initializer}
        for node in body.node:
            for i, name in enumerate(node.input):
                weight = weights.get(name)
                if name not in inside and weight is not None and len(weight.raw_data) < LARGE_BYTES:
                    inside[name] = f"{loop.output[0]}/{name}"
                    copy = body.initializer.add()
                    copy.CopyFrom(weight)
                    copy.name = inside[name]
                node.input[i] = inside.get(name, name)


def _drop_unused(graph: Any) -> None:
    """Removes nodes and weights that nothing reads."""
    while True:
        read = {value.name for part in graphs(graph) for value in part.output}
        read |= {name for part in graphs(graph) for node in part.node for name in node.input}
        dropped = 0
        for part in graphs(graph):
            for node in [n for n in part.node if not read & set(n.output)]:
                part.node.remove(node)
                dropped += 1
        if not dropped:
            break
    for part in graphs(graph):
        for tensor in [t for t in part.initializer if t.name not in read]:
            part.initializer.remove(tensor)
