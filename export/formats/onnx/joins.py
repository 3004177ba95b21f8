"""Several operators of an ONNX graph that compute what one does.

Each function changes a graph in place and leaves what nothing reads any more to the caller.
"""

from typing import Any

from export.formats.onnx.links import Links, array_of, replace


def join_normalisations(graph: Any, constants: dict[str, Any]) -> None:
    """(x - mean) / sqrt(mean((x - mean)²) + ε) · γ + β, as `LayerNormalization` in `layers`."""
    from onnx import helper

    links = Links(graph, constants)

    def other(node: Any, name: str) -> str:
        return node.input[1] if node.input[0] == name else node.input[0]

    for division in [n for n in graph.node if n.op_type == "Div"]:
        root = links.maker(division.input[1], "Sqrt")
        total = root and links.maker(root.input[0], "Add")
        mean = total and next(
            (found for name in total.input if (found := links.maker(name, "ReduceMean"))), None
        )
        square = mean and links.maker(mean.input[0], "Mul")
        centred = square and links.maker(square.input[0], "Sub")
        if not centred or set(square.input) != {centred.output[0]}:
            continue
        first = links.maker(centred.input[1], "ReduceMean")
        if centred.output[0] != division.input[0] or not first:
            continue
        x = centred.input[0]
        epsilon = constants.get(other(total, mean.output[0]))
        scale = links.only_reader(division.output[0], "Mul")
        shift = scale and links.only_reader(scale.output[0], "Add")
        if first.input[0] != x or epsilon is None or not shift:
            continue
        gamma = other(scale, division.output[0])
        beta = other(shift, scale.output[0])
        # The operator takes vectors over the last axis, and nothing that is computed.
        vectors = [constants.get(name) for name in (gamma, beta)]
        if not all(vector is not None and len(vector.dims) == 1 for vector in vectors):
            continue
        if not all(links.numbers(reduction.input[1]) == [-1] for reduction in (first, mean)):
            continue
        joined = helper.make_node(
            "LayerNormalization",
            [x, gamma, beta],
            [shift.output[0]],
            name=shift.name,
            axis=-1,
            epsilon=float(array_of(epsilon).item()),
        )
        replace(graph, shift, joined)


def join_argmax(graph: Any, constants: dict[str, Any]) -> None:
    """argmax(x = max(x)), the first of the largest, as `ArgMax` is by itself."""
    links = Links(graph, constants)
    for node in [node for node in graph.node if node.op_type == "ArgMax"]:
        same = links.maker(node.input[0], "Equal", ("Cast",))
        largest = same and next(
            (found for name in same.input if (found := links.maker(name, "ReduceMax"))), None
        )
        if not largest or set(same.input) != {largest.input[0], largest.output[0]}:
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if links.numbers(largest.input[1]) == [axis]:
            node.input[0] = largest.input[0]
