"""Who makes and who reads the tensors of an ONNX graph."""

from collections.abc import Collection, Iterator
from typing import Any


def graphs(graph: Any) -> Iterator[Any]:
    """The graph and the bodies in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def loops(graph: Any) -> list[tuple[Any, Any]]:
    """The loops that stand in the graph itself, each with its body."""
    found = [node for node in graph.node if node.op_type == "Loop"]
    return [(loop, next(a.g for a in loop.attribute if a.name == "body")) for loop in found]


class Links:
    """The nodes around each tensor of a graph.

    Args:
        graph: As it is now.
        constants: Tensors by name, those of the graphs around it as well.
    """

    def __init__(self, graph: Any, constants: dict[str, Any]) -> None:
        self._made_by = {output: node for node in graph.node for output in node.output}
        self._readers: dict[str, list[Any]] = {}
        for part in graphs(graph):  # A body reads what stands outside of it, too.
            for node in part.node:
                for name in node.input:
                    self._readers.setdefault(name, []).append(node)
        self._outputs = {value.name for part in graphs(graph) for value in part.output}
        self._constants = constants

    def maker(self, name: str, kind: str, through: Collection[str] = ()) -> Any:
        """The node that makes `name`, if it is of that kind; else None. What nodes of the kinds in
        `through` make counts as what they were given first.
        """
        node = self._made_by.get(name)
        while node is not None and node.op_type != kind and node.op_type in through:
            node = self._made_by.get(node.input[0])
        return node if node is not None and node.op_type == kind else None

    def only_reader(self, name: str, kind: str) -> Any:
        """The one node that reads `name`, if it is of that kind; else None."""
        found = self._readers.get(name, [])
        only = len(found) == 1 and name not in self._outputs and found[0].op_type == kind
        return found[0] if only else None

    def numbers(self, name: str) -> list[Any] | None:
        """The numbers of a constant of one axis, or of none; None if `name` is no such constant."""
        tensor = self._constants.get(name)
        if tensor is None or len(tensor.dims) > 1:
            return None
        return array_of(tensor).reshape(-1).tolist()


def array_of(tensor: Any) -> Any:
    """A constant as a NumPy array."""
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def replace(graph: Any, old: Any, new: Any) -> None:
    """Puts the node `new` where `old` stood."""
    place = list(graph.node).index(old)
    graph.node.remove(old)
    graph.node.insert(place, new)
