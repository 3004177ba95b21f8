"""Why a format cannot hold a model, in a sentence that names the layer.

A converter refuses operators. Their names tell the layer that made them, and their kind the reason.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from export.formats.layers import describe_layer
from keras_seq.errors import UserError


@dataclass(frozen=True)
class Reason:
    """Why no graph of built-in operators computes something.

    Attributes:
        operators: Pattern of TensorFlow's operators that compute it.
        what: What it has no operator for.
        instead: What to do, a sentence.
    """

    operators: str
    what: str
    instead: str


OUTSIDE = "Do that before or after the model."
REASONS = (
    Reason(
        r".*String.*|ReduceJoin|AsString|DecodeRaw|RegexReplace|StaticRegexReplace|.*Unicode.*",
        "strings",
        "Read text with TextVectorization or StringLookup, or give the model ids.",
    ),
    Reason(
        r".*Table.*",
        "tables of TensorFlow",
        "Use StringLookup, IntegerLookup, or keras.ops.take on ids.",
    ),
    Reason(
        r".*TensorList.*|TensorArray.*",
        "a list of tensors (a TensorArray)",
        "Write the loop with keras.ops.scan, or keras.ops.slice_update on one tensor.",
    ),
    Reason(
        r".*R?FFT.*|Complex.*|Real|Imag|Conj|Angle",
        "complex numbers",
        "Give the transform an axis of a fixed size, or do it before the model.",
    ),
    Reason(
        r"Svd|Qr|Cholesky.*|Eig|SelfAdjointEig.*|Lu|Matrix(?!Diag|BandPart|SetDiag).*|"
        r"LogMatrixDeterminant|BatchMatrix.*",
        "factorising or inverting a matrix",
        OUTSIDE,
    ),
    Reason(
        r"(Stateless)?(Parameterized|Truncated)?(Random|Multinomial).*|.*Rng.*",
        "random numbers",
        "Take them as an input of the model.",
    ),
    Reason(
        r"Float8.*",
        "numbers of 8 bits with a point (float8)",
        'Quantize the model with quantize("int8")',
    ),
    Reason(
        r"Bitwise.*|Bitcast|LeftShift|RightShift|Invert|PopulationCount",
        "the bits of numbers",
        "Use arithmetic and comparisons instead.",
    ),
    Reason(
        r"Unique.*|Where|DenseBincount|Bincount|Ragged.*|.*Sparse.*|DynamicPartition",
        "tensors whose size depends on values",
        "Use a function whose result has a fixed size, such as keras.ops.one_hot or "
        "keras.ops.where with three arguments.",
    ),
    Reason(
        r"(Conv|MaxPool|AvgPool|DepthwiseConv).*",
        "a convolution or pooling of this kind",
        "Build it with other strides, dilation or padding.",
    ),
)

# Operators that hand on values of any kind: a converter refuses them for what others made.
PASSING = {"Identity", "IdentityN", "NoOp", "Placeholder", "Const", "Reshape", "SelectV2", "Pack"}


FLOAT8 = {24, 25}  # TensorFlow's numbers of the two dtypes


def _name_operator(node: Any) -> str:
    """Returns the operator of a node, "Float8Cast" for a cast that a format lacks."""
    dtypes = {node.attr[name].type for name in ("SrcT", "DstT") if name in node.attr}
    return f"Float8{node.op}" if dtypes & FLOAT8 else node.op


def find_nodes(traced: Any) -> Iterator[Any]:
    """Yields the nodes of a traced function, bodies of loops and branches included."""
    definition = traced.graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def refuse(
    format: str,
    functions: Sequence[Any],
    operators: Collection[str] = (),
    names: Collection[str] = (),
) -> UserError:
    """Returns the refusal of a model whose operators a format lacks.

    Args:
        format: Name of the format.
        functions: Traced functions of the model.
        operators: TensorFlow's names of the operators.
        names: Names of the nodes, where they are known.
    """
    nodes = [(traced.graph, node) for traced in functions for node in find_nodes(traced)]
    refused = [(g, node) for g, node in nodes if node.op in operators or node.name in names]
    causes = _group_by_layer(refused)
    if not causes:  # The converter names no operator, so a likely one.
        causes = _group_by_layer(
            [(g, node) for g, node in nodes if _find_reason({_name_operator(node)})]
        )
    if not causes:
        return UserError(
            f"The model cannot be exported to {format}, which has not all of its operators built "
            "in. Export to the other formats only (--format), or leave out its layers one by one "
            "to find the one that it cannot hold."
        )
    return UserError(_explain(format, *min(causes.items())))


def _group_by_layer(nodes: Sequence[tuple[Any, Any]]) -> dict[str, set[str]]:
    """Returns the operators of each layer, of `(graph, node)`."""
    causes: dict[str, set[str]] = {}
    for graph, node in nodes:
        causes.setdefault(describe_layer(graph, node.name), set()).add(_name_operator(node))
    # What no layer made we made ourselves, of what layers ask for.
    causes = {layer: ops for layer, ops in causes.items() if layer} or causes
    return {layer: ops - PASSING for layer, ops in causes.items() if ops - PASSING} or causes


def _find_reason(operators: Collection[str]) -> Reason | None:
    """Returns the first reason that is of one of the operators."""
    return next((r for r in REASONS for o in operators if re.fullmatch(r.operators, o)), None)


def _explain(format: str, layer: str, operators: Collection[str]) -> str:
    """Returns the sentences that refuse `operators` of a layer."""
    reason = _find_reason(operators)
    lacking = ", ".join(sorted(operators))
    instead = "Build it from other layers or functions of keras.ops"
    if reason is not None:
        lacking = f"{reason.what} ({lacking})"
        instead = reason.instead.removesuffix(".")
    layer = layer or "the model"
    return (
        f"{layer[0].upper()}{layer[1:]} cannot be exported to {format}, which has no built-in "
        f"operator for {lacking}. {instead}, or export to the other formats only (--format)."
    )


def refuse_nodes(traced: Any, pattern: str, sentence: Callable[[str, str], str]) -> None:
    """Raises `UserError(sentence(layer, operator))` for the first node of operators `pattern`."""
    for node in find_nodes(traced):
        if re.fullmatch(pattern, node.op):
            layer = describe_layer(traced.graph, node.name) or "the model"
            raise UserError(sentence(f"{layer[0].upper()}{layer[1:]}", node.op))


def find_names(message: str, functions: Sequence[Any]) -> set[str]:
    """Returns the names of the traced nodes that stand in the message of a converter."""
    known = {node.name for traced in functions for node in find_nodes(traced)}
    return known & set(re.findall(r"[\w.\-/]+", message))
