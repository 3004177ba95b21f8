"""An ONNX graph with fewer operators and the same values: each takes its time, turn after turn.

onnxruntime does some of this itself, but not in the body of a loop, whose weights stand outside.
"""

from typing import Any

from export.formats.onnx.joins import join_argmax, join_normalisations
from export.formats.onnx.links import Links, array_of, graphs, loops
from export.formats.onnx.shapes import copy_sizes, join_reshapes, multiply_directly

LARGE_BYTES = 4096


def simplify(model: Any) -> None:
    """Changes `model` in place.

    - What a loop hands from turn to turn unchanged, its weights, is read from outside of it.
    - A weight that is only given another shape is stored in that shape; weights that are only put
      side by side are stored so.
    - What is computed twice is computed once.
    - Operators that are one together are one; see `onnx_joins`.
    - An index into a weight is not made positive before a `Gather`, which counts from the end, too.
    - Sizes are not computed where they are those of the input; see `onnx_shapes`.
    - What each turn of a loop would compute again from outside alone is computed once, before it.
    - The small weights that a loop reads stand in its body: what is outside is handed in each turn.
    """
    for graph in list(graphs(model.graph)):
        _read_from_outside(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for graph in list(graphs(model.graph)):
        constants = weights | {tensor.name: tensor for tensor in graph.initializer}
        _arrange_weights(model.graph, graph, constants)
        _merge_equal(graph, constants)
        join_normalisations(graph, constants)
        join_argmax(graph, constants)
        _gather_from_the_end(graph, constants)
        multiply_directly(graph, constants)
        copy_sizes(graph, constants)
        join_reshapes(graph, constants)
    for graph in reversed(list(graphs(model.graph))):  # A loop in a loop first.
        _compute_before_loops(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for graph in list(graphs(model.graph)):
        _bring_in(graph, weights)
    _drop_unused(model.graph)


def _read_from_outside(graph: Any) -> None:
    """Of each loop in `graph`, what its body returns as it was given."""
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


def _arrange_weights(main: Any, graph: Any, constants: dict[str, Any]) -> None:
    from onnx import numpy_helper

    def stored(array: Any, name: str) -> str:
        """The name of the weight: of the same one, where another graph has made it."""
        made = numpy_helper.from_array(array, name)
        content = made.data_type, made.dims, made.raw_data
        for weight in main.initializer:
            if (weight.data_type, weight.dims, weight.raw_data) == content:
                made = weight
                break
        else:
            main.initializer.append(made)
        constants[made.name] = made
        return made.name

    for node in [n for n in graph.node if n.op_type in ("Reshape", "Concat")]:
        given = [constants.get(name) for name in node.input]
        if None in given:
            continue
        array = _arranged(node, [array_of(tensor) for tensor in given])
        _rename_uses(graph, node.output[0], stored(array, f"{node.output[0]}/weight"))
        graph.node.remove(node)


def _arranged(node: Any, arrays: list[Any]) -> Any:
    """What a Reshape or a Concat of constants gives."""
    import numpy as np

    if node.op_type == "Concat":
        return np.concatenate(arrays, axis=node.attribute[0].i)
    array, wanted = arrays
    return array.reshape(
        [array.shape[i] if size == 0 else int(size) for i, size in enumerate(wanted)]
    )


def _merge_equal(graph: Any, constants: dict[str, Any]) -> None:
    """Nodes of one operator with the same inputs are one; constants with the same content are."""

    def same(name: str) -> Any:
        tensor = constants.get(name)
        if tensor is None or not tensor.raw_data or len(tensor.raw_data) >= LARGE_BYTES:
            return name
        return tensor.data_type, tuple(tensor.dims), tensor.raw_data

    found: dict[Any, Any] = {}
    for node in list(graph.node):
        if node.op_type.startswith("Random") or any(a.HasField("g") for a in node.attribute):
            continue
        attributes = tuple(sorted(a.SerializeToString() for a in node.attribute))
        key = (node.op_type, node.domain, *map(same, node.input), attributes, len(node.output))
        first = found.setdefault(key, node)
        if first is not node:
            for old, new in zip(node.output, first.output, strict=True):
                _rename_uses(graph, old, new)
            graph.node.remove(node)


def _rename_uses(graph: Any, old: str, new: str) -> None:
    from onnx import helper

    for part in graphs(graph):
        for node in part.node:
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new
        if any(value.name == old for value in part.output):
            # An output keeps its name.
            part.node.append(helper.make_node("Identity", [new], [old]))


def _gather_from_the_end(graph: Any, constants: dict[str, Any]) -> None:
    """Of `where(i < 0, i + n, i)`, i, where a table of n rows is read."""
    links = Links(graph, constants)

    def is_index(name: str, index: str) -> bool:
        """Also in another integer type, in which it is compared."""
        cast = links.maker(name, "Cast")
        return name == index or (cast is not None and cast.input[0] == index)

    for node in [node for node in graph.node if node.op_type == "Gather"]:
        choice, table = links.maker(node.input[1], "Where"), constants.get(node.input[0])
        if choice is None or table is None:
            continue
        negative = links.maker(choice.input[0], "Less")
        moved = links.maker(choice.input[1], "Add")
        index = choice.input[2]
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if (
            negative is not None
            and is_index(negative.input[0], index)
            and links.numbers(negative.input[1]) == [0]
            and moved is not None
            and moved.input[0] == index
            and links.numbers(moved.input[1]) == [table.dims[axis]]
        ):
            node.input[1] = index


def _compute_before_loops(graph: Any) -> None:
    """Of each loop in `graph`, what does not depend on the turn."""
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


def _bring_in(graph: Any, weights: dict[str, Any]) -> None:
    """To each loop in `graph`, the small weights that nodes of its own read. Large ones stay: a
    browser's onnxruntime does not find in `weights.bin` what stands in a body.
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
    """Nodes and weights that nothing reads any more."""
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
