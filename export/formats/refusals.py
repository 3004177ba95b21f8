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
        what: What the layer does, after "it".
        instead: What to do, a sentence.
    """

    operators: str
    what: str
    instead: str


OUTSIDE = "Do that before or after the model."
REASONS = (
    Reason(
        r".*String.*|ReduceJoin|AsString|DecodeRaw|RegexReplace|StaticRegexReplace|.*Unicode.*",
        "works on strings",
        "Read text with TextVectorization or StringLookup, or give the model ids.",
    ),
    Reason(
        r".*Table.*",
        "looks up values in a table of TensorFlow",
        "Use StringLookup, IntegerLookup, or keras.ops.take on ids.",
    ),
    Reason(
        r".*TensorList.*|TensorArray.*",
        "keeps a list of tensors (a TensorArray)",
        "Write the loop with keras.ops.scan, or keras.ops.slice_update on one tensor.",
    ),
    Reason(
        r".*R?FFT.*|Complex.*|Real|Imag|Conj|Angle",
        "computes with complex numbers",
        "Compute real values from keras.ops.rfft, keras.ops.stft or STFTSpectrogram, or do that "
        "before the model.",
    ),
    Reason(
        r"Svd|Qr|Cholesky.*|Eig|SelfAdjointEig.*|Lu|Matrix(?!Diag|BandPart|SetDiag).*|"
        r"LogMatrixDeterminant|BatchMatrix.*",
        "factorises or inverts a matrix",
        OUTSIDE,
    ),
    Reason(
        r"(Stateless)?(Parameterized|Truncated)?(Random|Multinomial).*|.*Rng.*",
        "draws random numbers",
        "Take them as an input of the model.",
    ),
    Reason(
        r"Bitwise.*|Bitcast|LeftShift|RightShift|Invert|PopulationCount",
        "works on the bits of numbers",
        "Use arithmetic and comparisons instead.",
    ),
    Reason(
        r"Unique.*|Where|DenseBincount|Bincount|Ragged.*|.*Sparse.*|DynamicPartition",
        "makes a tensor whose size depends on values",
        "Use a function whose result has a fixed size, such as keras.ops.one_hot or "
        "keras.ops.where with three arguments.",
    ),
    Reason(
        r"(Conv|MaxPool|AvgPool|DepthwiseConv).*",
        "has a convolution or pooling of a kind that",
        "Build it with other strides, dilation or padding.",
    ),
)

# Operators that hand on values of any kind: a converter refuses them for what others made.
PASSING = {"Identity", "IdentityN", "NoOp", "Placeholder", "Const", "Reshape", "SelectV2", "Pack"}


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
    causes: dict[str, set[str]] = {}
    for traced in functions:
        for node in find_nodes(traced):
            if node.op in operators or node.name in names:
                causes.setdefault(describe_layer(traced.graph, node.name), set()).add(node.op)
    # What no layer made we made ourselves, of what layers ask for.
    found = {layer: ops for layer, ops in causes.items() if layer} or causes
    active = {layer: ops - PASSING for layer, ops in found.items() if ops - PASSING} or found
    if not active:
        return UserError(
            f"The model cannot be exported to {format}, which has not all of its operators built "
            f"in. Export to the other formats only (--format), or leave out its layers one by one "
            "to find the one that it cannot hold."
        )
    layer, made = next(iter(sorted(active.items())))
    return UserError(explain(format, layer or "the model", made))


def explain(format: str, layer: str, operators: Collection[str]) -> str:
    """Returns the sentences that refuse `operators` of a layer."""
    reason = next(
        (r for r in REASONS for name in sorted(operators) if re.fullmatch(r.operators, name)), None
    )
    needs = ", ".join(sorted(operators))
    what, instead = f"needs {needs}", "Build it from other layers or functions of keras.ops"
    if reason is not None:
        what, instead = f"{reason.what} ({needs})", reason.instead.removesuffix(".")
    return (
        f"{layer[0].upper()}{layer[1:]} cannot be exported to {format}: it {what}, for which "
        f"{format} has no built-in operator. {instead}, or export to the other formats only "
        "(--format)."
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
