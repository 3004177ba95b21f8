"""Which nodes produce and read the tensors of an ONNX graph."""

from collections.abc import Collection, Iterator
from typing import Any


def graphs(graph: Any) -> Iterator[Any]:
    """Yields the graph and the bodies in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def loops(graph: Any) -> list[tuple[Any, Any]]:
    """Returns the loops of the graph itself, each with its body."""
    nodes = [node for node in graph.node if node.op_type == "Loop"]
    return [(loop, next(a.g for a in loop.attribute if a.name == "body")) for loop in nodes]


class Links:
    """The nodes around each tensor of a graph.

    Args:
        graph: The graph as it is now.
        constants: Tensors by name, those of the graphs around it as well.
    """

    def __init__(self, graph: Any, constants: dict[str, Any]) -> None:
        self._producers = {output: node for node in graph.node for output in node.output}
        self._readers: dict[str, list[Any]] = {}
        for part in graphs(graph):  # A body reads tensors from outside, too.
            for node in part.node:
                for name in node.input:
                    self._readers.setdefault(name, []).append(node)
        self._outputs = {value.name for part in graphs(graph) for value in part.output}
        self._constants = constants

    def producer(self, name: str, operator: str, through: Collection[str] = ()) -> Any:
        """Returns the node that produces `name` if it is of that operator; else None.

        Nodes of the operators in `through` are passed by, along their first input.
        """
        node = self._producers.get(name)
        while node is not None and node.op_type != operator and node.op_type in through:
            node = self._producers.get(node.input[0])
        return node if node is not None and node.op_type == operator else None

    def only_reader(self, name: str) -> Any:
        """Returns the node that reads `name` if there is only one and `name` isn't an output."""
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self._outputs else None

    def constant(self, name: str) -> Any:
        """Returns the constant `name`; None if it isn't one."""
        return self._constants.get(name)

    def constant_values(self, name: str) -> list[Any] | None:
        """Returns the values of a constant with at most one axis; None if `name` isn't one."""
        tensor = self._constants.get(name)
        if tensor is None or len(tensor.dims) > 1:
            return None
        return array_of(tensor).reshape(-1).tolist()


def array_of(tensor: Any) -> Any:
    """Returns a constant as a NumPy array."""
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def replace(graph: Any, old: Any, new: Any) -> None:
    """Puts the node `new` in the place of `old`."""
    i = list(graph.node).index(old)
    graph.node.remove(old)
    graph.node.insert(i, new)
