"""An operator of TensorFlow between the layers of a Functional model, as a layer."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from keras_seq.errors import UserError
from keras_seq.typing import Tensor

OPERATORS = ("TFOpLambda", "SlicingOpLambda")  # the classes of such layers in Keras 2
# Parts of TensorFlow whose functions compute, and do nothing else: a file names what is called.
MODULES = ("bitwise", "linalg", "math", "nn", "signal")
OTHERS = """
abs acos acosh add add_n argmax argmin argsort asin asinh atan atan2 atanh boolean_mask broadcast_to
broadcast_dynamic_shape broadcast_static_shape cast clip_by_norm clip_by_value concat
convert_to_tensor cos cosh cumsum divide edit_distance einsum ensure_shape equal exp expand_dims eye
fill floor gather gather_nd greater greater_equal identity image.adjust_brightness
image.adjust_contrast image.central_crop image.crop_to_bounding_box image.flip_left_right
image.flip_up_down image.pad_to_bounding_box image.resize image.rgb_to_grayscale image.rot90 less
less_equal linspace logical_and logical_not logical_or matmul maximum meshgrid minimum multiply
negative norm not_equal one_hot ones ones_like pad pow range rank realdiv reduce_all reduce_any
reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape reverse
reverse_sequence roll round scalar_mul scatter_nd searchsorted sequence_mask shape shape_n sigmoid
sign sin sinh size slice sort split sqrt square squeeze stack stop_gradient strided_slice subtract
tan tanh tensor_scatter_nd_add tensor_scatter_nd_update tensordot tile transpose truediv truncatediv
truncatemod tuple unique unstack where zeros zeros_like strings.length strings.lower strings.upper
strings.strip strings.join
"""
FUNCTIONS = frozenset(OTHERS.split())
# Nodes of a graph, as TensorFlow 2.0 to 2.3 wrote them.
NODES = """
Abs Add AddN AddV2 All Any ArgMax ArgMin BatchMatMul BatchMatMulV2 BatchMatMulV3 BiasAdd BroadcastTo
Cast Ceil ClipByValue Concat ConcatV2 Cos Cumsum Div DivNoNan Einsum Elu Equal Erf Exp ExpandDims
Expm1 Fill Floor FloorDiv FloorMod Gather GatherNd GatherV2 Greater GreaterEqual Identity L2Loss
LeakyRelu Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul
MatrixBandPart Max Maximum Mean Min Minimum MirrorPad Mod Mul MulNoNan Neg NotEqual OneHot OnesLike
Pack Pad PadV2 Pow Prod Range Rank RealDiv Reciprocal Relu Relu6 Reshape ReverseSequence ReverseV2
Rint Round Rsqrt Select SelectV2 Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign
Split SplitV Sqrt Square SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tan Tanh Tile
TopK TopKV2 Transpose Unpack Where Xdivy Xlogy ZerosLike
"""
GRAPH_OPERATORS = frozenset(NODES.split())


def is_allowed(symbol: str) -> bool:
    """Returns whether an operator of TensorFlow, by its public name, may come from a file."""
    name = symbol.removeprefix("compat.v1.").removeprefix("compat.v2.")
    module, _, function = name.rpartition(".")
    return (
        name in FUNCTIONS
        or (module in MODULES and not function.startswith("_"))
        or (module == "__operators__" and function.isidentifier())
        or (module == "raw_ops" and function in GRAPH_OPERATORS)
    )


def require_allowed(symbol: str, layer: str) -> None:
    """Raises UserError, with the name of the layer, where an operator may not come from a file."""
    if not is_allowed(symbol):
        raise UserError(
            f"The layer {layer!r} calls tf.{symbol}, which is none of the operators that are run "
            "from a file. Build the model without it."
        )


@keras.saving.register_keras_serializable("keras_seq")
class Operator(keras.layers.Layer):
    """Computes an operator of TensorFlow, as `TFOpLambda` does in Keras 2.

    Args:
        symbol: Its public name without "tf.", such as "math.reduce_mean".
        arguments: Positional and keyword arguments, as `describe` writes them.
        outputs: Shape and dtype of each output.
        is_nested: Whether the operator returns a list.

    Raises:
        UserError: If the operator does more than compute.
    """

    def __init__(
        self,
        symbol: str,
        arguments: dict[str, Any],
        outputs: Sequence[Any],
        is_nested: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **options})
        require_allowed(symbol, self.name)
        self.symbol = symbol
        self.arguments = arguments
        self.outputs = outputs
        self.is_nested = is_nested
        self.supports_masking = True  # As in Keras 2, whose operators drop a mask without a word.
        self.built = True

    def call(self, inputs: list[Tensor]) -> Any:
        function = _find_function(self.symbol)
        args = [_restore(value, inputs) for value in self.arguments["positional"]]
        kwargs = {k: _restore(value, inputs) for k, value in self.arguments["keyword"].items()}
        outputs = function(*args, **kwargs)
        return tree.flatten(outputs) if self.is_nested else outputs

    def compute_output_spec(self, inputs: list[Tensor]) -> Any:
        tensors = [keras.KerasTensor(tuple(shape), dtype) for shape, dtype in self.outputs]
        return tensors if self.is_nested else tensors[0]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "symbol": self.symbol,
            "arguments": self.arguments,
            "outputs": self.outputs,
            "is_nested": self.is_nested,
        }


def _find_function(symbol: str) -> Callable[..., Any]:
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"The model computes tf.{symbol}, which needs TensorFlow. Set KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    function: Any = tf
    for part in symbol.split("."):
        function = getattr(function, part)
    return function


def describe(value: Any, index: Callable[[Any], int | None]) -> Any:
    """Returns an argument of an operator as JSON holds it.

    Args:
        value: A tensor, a constant, or lists, tuples and dictionaries of them.
        index: Returns the place of a tensor among the inputs of the layer; None for a constant.
    """
    place = index(value)
    if place is not None:
        return {"input": place}
    if isinstance(value, dict) and value.keys() == {"start", "stop", "step"}:
        return {"slice": [describe(value[part], index) for part in ("start", "stop", "step")]}
    if isinstance(value, slice):
        return {"slice": [describe(part, index) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, dict):
        return {"dictionary": {key: describe(part, index) for key, part in value.items()}}
    if isinstance(value, tuple):
        return {"tuple": [describe(part, index) for part in value]}
    if isinstance(value, list):
        return [describe(part, index) for part in value]
    if value is Ellipsis:
        return {"ellipsis": True}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "as_numpy_dtype"):
        return {"dtype": value.name}
    if hasattr(value, "as_list"):
        return value.as_list()
    array = np.asarray(value)
    return {"array": array.tolist(), "dtype": array.dtype.name}


def _restore(value: Any, inputs: Sequence[Tensor]) -> Any:
    """Returns the argument that `describe` described."""
    if isinstance(value, (list, tuple)):
        return [_restore(part, inputs) for part in value]
    if not isinstance(value, dict):
        return value
    if "input" in value:
        return inputs[value["input"]]
    if "slice" in value:
        return slice(*(_restore(part, inputs) for part in value["slice"]))
    if "tuple" in value:
        return tuple(_restore(part, inputs) for part in value["tuple"])
    if "ellipsis" in value:
        return Ellipsis
    if "array" in value:
        return np.array(value["array"], value["dtype"])
    if "dtype" in value:
        return value["dtype"]
    return {key: _restore(part, inputs) for key, part in value["dictionary"].items()}
