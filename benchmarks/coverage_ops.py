"""A use of each function of `keras.ops` in a layer, for `benchmarks.coverage`.

The functions of `USES` take `x` and `y`, float32 `(B, 6, 4)`, and `i`, int32 `(B, 6)`.
"""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

STEPS, WIDTH = 6, 4
ROWS, OPEN = 11, 13  # no other sizes


def kernel(*shape: int) -> Any:
    """Returns a constant tensor of numbers."""
    return ops.convert_to_tensor(np.random.default_rng(0).normal(size=shape).astype("float32"))


def positive(x: Any) -> Any:
    """Returns numbers above zero."""
    return ops.abs(x) + 0.5


def unit(x: Any) -> Any:
    """Returns numbers in (-1, 1)."""
    return ops.tanh(x) * 0.9


def time_major(x: Any) -> Any:
    """Returns `(T, B, D)`."""
    return ops.transpose(x, (1, 0, 2))


def unary(name: str, prepare: Callable[[Any], Any] = lambda x: x) -> Callable[..., Any]:
    """Returns a use of a function of one tensor, along the time axis if it would use all axes."""
    function = getattr(ops, name)
    axis = inspect.signature(function).parameters.get("axis")
    along = {"axis": 1} if axis is not None and axis.default is None else {}
    return lambda x, y, i: function(prepare(x), **along)


def binary(name: str, prepare: Callable[[Any], Any] = lambda x: x) -> Callable[..., Any]:
    """Returns a use of a function of two tensors."""
    return lambda x, y, i: getattr(ops, name)(prepare(x), prepare(y))


def whole(x: Any) -> Any:
    """Returns integers."""
    return ops.cast(ops.round(x * 3), "int32")


def counts(x: Any) -> Any:
    """Returns integers from 1 on."""
    return ops.cast(ops.abs(x) * 3, "int32") + 1


def image(x: Any) -> Any:
    """Returns `(B, 6, 4, 1)`."""
    return x[..., None]


def square(x: Any) -> Any:
    """Returns symmetric matrices `(B, 4, 4)`, far from singular."""
    return ops.matmul(ops.transpose(x, (0, 2, 1)), x) + 3 * ops.eye(WIDTH)


UNARY = [
    "abs",
    "absolute",
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "average",
    "cbrt",
    "ceil",
    "celu",
    "copy",
    "cos",
    "cosh",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "deg2rad",
    "elu",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logical_not",
    "logsumexp",
    "max",
    "mean",
    "median",
    "min",
    "nan_to_num",
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
    "negative",
    "norm",
    "normalize",
    "ones_like",
    "prod",
    "ptp",
    "rad2deg",
    "real",
    "relu",
    "relu6",
    "round",
    "selu",
    "sigmoid",
    "sign",
    "signbit",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sort",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "square",
    "squareplus",
    "std",
    "stop_gradient",
    "sum",
    "swish",
    "tan",
    "tanh",
    "tanh_shrink",
    "trace",
    "tril",
    "triu",
    "trunc",
    "var",
    "zeros_like",
    "conj",
    "conjugate",
    "arcsinh",
    "arctan",
    "imag",
    "angle",
    "flip",
    "fliplr",
    "trapezoid",
    "i0",
    "empty_like",
    "nonzero",
    "unique",
    "corrcoef",
]
POSITIVE = ["log", "log10", "log1p", "log2", "reciprocal", "rsqrt", "sqrt"]
UNIT = ["arccos", "arcsin", "arctanh", "erfc", "erfinv"]
BINARY = [
    "add",
    "arctan2",
    "divide",
    "divide_no_nan",
    "equal",
    "floor_divide",
    "fmax",
    "fmin",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "isclose",
    "less",
    "less_equal",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "not_equal",
    "polar",
    "subtract",
    "true_divide",
    "nextafter",
    "fmod",
    "kron",
]
INTEGERS = [
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "left_shift",
    "right_shift",
    "gcd",
    "lcm",
]
MATRIX = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "inv",
    "logdet",
    "pinv",
    "matrix_rank",
    "slogdet",
    "svd",
    "eig",
    "eigh",
]

PATTERN = [[0], [2], [5]]

USES: dict[str, Callable[..., Any]] = {
    **{name: unary(name) for name in UNARY},
    **{name: unary(name, positive) for name in POSITIVE},
    **{name: unary(name, unit) for name in UNIT},
    **{name: binary(name) for name in BINARY},
    **{name: binary(name, counts) for name in INTEGERS},
    **{name: unary(name, square) for name in MATRIX},
    "adaptive_average_pool": lambda x, y, i: ops.adaptive_average_pool(x, 3),
    "adaptive_max_pool": lambda x, y, i: ops.adaptive_max_pool(x, 3),
    "append": lambda x, y, i: ops.append(x, y, axis=1),
    "arange": lambda x, y, i: x + ops.arange(WIDTH, dtype="float32"),
    "arccosh": lambda x, y, i: ops.arccosh(positive(x) + 1),
    "argpartition": lambda x, y, i: ops.sort(ops.argpartition(x, 2)[..., :2]),
    "array": lambda x, y, i: x + ops.array([1.0, 2, 3, 4]),
    "array_split": lambda x, y, i: ops.array_split(x, 4, axis=1),
    "associative_scan": lambda x, y, i: time_major(
        ops.associative_scan(lambda a, b: a + b, time_major(x))
    ),
    "average_pool": lambda x, y, i: ops.average_pool(x, 2, 1, "same"),
    "bartlett": lambda x, y, i: x * ops.bartlett(WIDTH),
    "batch_normalization": lambda x, y, i: ops.batch_normalization(
        x, kernel(4), ops.abs(kernel(4)), -1
    ),
    "binary_crossentropy": lambda x, y, i: ops.binary_crossentropy(ops.sigmoid(x), ops.sigmoid(y)),
    "bincount": lambda x, y, i: ops.bincount(i, minlength=3),
    "bitwise_invert": lambda x, y, i: ops.bitwise_invert(i),
    "bitwise_not": lambda x, y, i: ops.bitwise_not(i),
    "blackman": lambda x, y, i: x * ops.blackman(WIDTH),
    "broadcast_to": lambda x, y, i: ops.broadcast_to(x[:, :1], ops.shape(x)),
    "cast": lambda x, y, i: ops.cast(x * 3, "int32"),
    "categorical_crossentropy": lambda x, y, i: ops.categorical_crossentropy(
        ops.softmax(x), ops.softmax(y)
    ),
    "cdist": binary("cdist"),
    "clip": lambda x, y, i: ops.clip(x, -0.5, 0.7),
    "concatenate": lambda x, y, i: ops.concatenate([x, y], axis=-1),
    "cond": lambda x, y, i: ops.cond(ops.sum(ops.abs(x)) > -1, lambda: x * 2, lambda: y),
    "conv": lambda x, y, i: ops.conv(x, kernel(3, 4, 5), padding="same"),
    "conv_transpose": lambda x, y, i: ops.conv_transpose(x, kernel(3, 5, 4), 2, "same"),
    "convert_to_tensor": lambda x, y, i: x + ops.convert_to_tensor(np.ones(4, "float32")),
    "correlate": lambda x, y, i: (
        ops.correlate(ops.reshape(kernel(6), (6,)), kernel(3)) + x[:, 0, :1]
    ),
    "cross": lambda x, y, i: ops.cross(x[..., :3], y[..., :3]),
    "ctc_decode": lambda x, y, i: ops.ctc_decode(x, ops.sum(i * 0 + 1, axis=1))[0][0],
    "ctc_loss": lambda x, y, i: ops.ctc_loss(
        i[:, :3] + 1, x, ops.sum(i[:, :3] * 0 + 1, axis=1), ops.sum(i * 0 + 1, axis=1)
    ),
    "depth_to_space": lambda x, y, i: ops.depth_to_space(x[:, :, None], 2),
    "depthwise_conv": lambda x, y, i: ops.depthwise_conv(x, kernel(3, 4, 1), padding="same"),
    "diag": lambda x, y, i: ops.diag(kernel(4)) + x[:, :4],
    "diagflat": lambda x, y, i: ops.diagflat(kernel(4)) + x[:, :4],
    "diff": lambda x, y, i: ops.diff(x, axis=1),
    "digitize": lambda x, y, i: ops.digitize(x, np.array([-1.0, 0.0, 0.5])),
    "dot": lambda x, y, i: ops.dot(x, kernel(4, 3)),
    "dot_product_attention": lambda x, y, i: ops.dot_product_attention(
        x[:, :, None], y[:, :, None], x[:, :, None]
    ),
    "dsplit": lambda x, y, i: ops.dsplit(x, 2),
    "dstack": lambda x, y, i: ops.dstack([x, y]),
    "einsum": lambda x, y, i: ops.einsum("btd,bsd->bts", x, y),
    "empty": lambda x, y, i: x + 0 * ops.empty((4,)),
    "expand_dims": lambda x, y, i: ops.expand_dims(x, 1),
    "extract_sequences": lambda x, y, i: ops.extract_sequences(ops.transpose(x, (0, 2, 1)), 3, 1),
    "eye": lambda x, y, i: x + ops.eye(6, 4),
    "fft": lambda x, y, i: ops.fft((x, y)),
    "fft2": lambda x, y, i: ops.fft2((x, y)),
    "fori_loop": lambda x, y, i: ops.fori_loop(0, 4, lambda k, a: a * 0.5 + y, x),
    "full": lambda x, y, i: x + ops.full((4,), 2.0),
    "full_like": lambda x, y, i: ops.full_like(x, 3.0),
    "geomspace": lambda x, y, i: x + ops.geomspace(1.0, 8.0, 4),
    "get_item": lambda x, y, i: ops.get_item(x, (slice(None), -1)),
    "hamming": lambda x, y, i: x * ops.hamming(WIDTH),
    "hanning": lambda x, y, i: x * ops.hanning(WIDTH),
    "histogram": lambda x, y, i: x + ops.cast(ops.histogram(kernel(9), 4, (-1, 1))[0], "float32"),
    "hsplit": lambda x, y, i: ops.hsplit(x, 2),
    "hstack": lambda x, y, i: ops.hstack([x, y]),
    "ifft2": lambda x, y, i: ops.ifft2((x, y)),
    "in_top_k": lambda x, y, i: ops.in_top_k(i[:, 0], x[:, 0], 2),
    "inner": lambda x, y, i: ops.inner(x, kernel(4)),
    "irfft": lambda x, y, i: ops.irfft((x, y)),
    "isin": lambda x, y, i: ops.isin(i, ops.convert_to_tensor([1, 4])),
    "istft": lambda x, y, i: ops.istft(ops.stft(ops.reshape(x, (-1, 24)), 8, 4, 8), 8, 4, 8),
    "jvp": lambda x, y, i: ops.jvp(ops.sin, (x,), (y,))[1],
    "kaiser": lambda x, y, i: x * ops.kaiser(WIDTH, 8.0),
    "layer_normalization": lambda x, y, i: ops.layer_normalization(x, kernel(4), kernel(4)),
    "ldexp": lambda x, y, i: ops.ldexp(x[:, :, 0], i),
    "linspace": lambda x, y, i: x + ops.linspace(0.0, 1.0, 4),
    "logspace": lambda x, y, i: x + ops.logspace(0.0, 1.0, 4),
    "lstsq": lambda x, y, i: ops.lstsq(kernel(6, 4), kernel(6)) + x[:, 0],
    "lu_factor": lambda x, y, i: ops.lu_factor(square(x))[0],
    "map": lambda x, y, i: time_major(ops.map(lambda a: a * 2 + 1, time_major(x))),
    "matmul": lambda x, y, i: ops.matmul(x, ops.transpose(y, (0, 2, 1))),
    "max_pool": lambda x, y, i: ops.max_pool(x, 2, 1, "same"),
    "meshgrid": lambda x, y, i: ops.meshgrid(kernel(6), kernel(4), indexing="ij")[0] + x,
    "moments": lambda x, y, i: ops.moments(x, axes=[1]),
    "moveaxis": lambda x, y, i: ops.moveaxis(x, 1, 2),
    "multi_hot": lambda x, y, i: ops.multi_hot(i, 5),
    "nanpercentile": lambda x, y, i: ops.nanpercentile(x, 30, axis=-1),
    "nanquantile": lambda x, y, i: ops.nanquantile(x, 0.3, axis=-1),
    "diagonal": lambda x, y, i: ops.diagonal(x, axis1=1, axis2=2),
    "rot90": lambda x, y, i: ops.rot90(x, axes=(1, 2)),
    "trace": lambda x, y, i: ops.trace(x, axis1=1, axis2=2),
    "floor_divide": lambda x, y, i: [
        ops.floor_divide(x, y),
        ops.floor_divide(whole(x), counts(y)),
        ops.floor_divide(whole(x), 3),
    ],
    "mod": lambda x, y, i: [ops.mod(x, y), ops.mod(whole(x), counts(y)), ops.mod(whole(x), -3)],
    "ndim": lambda x, y, i: x * ops.ndim(x),
    "one_hot": lambda x, y, i: ops.one_hot(i, 5),
    "ones": lambda x, y, i: x + ops.ones((4,)),
    "outer": lambda x, y, i: ops.outer(kernel(3), kernel(4)) + x[:, :3],
    "pad": lambda x, y, i: ops.pad(x, [[0, 0], [1, 2], [0, 0]]),
    "percentile": lambda x, y, i: ops.percentile(x, 30, axis=-1),
    "power": lambda x, y, i: ops.power(positive(x), y),
    "psnr": lambda x, y, i: x + ops.psnr(kernel(3), kernel(3) + 1, 1.0),
    "qr": lambda x, y, i: ops.qr(x)[1],
    "quantile": lambda x, y, i: ops.quantile(x, 0.3, axis=-1),
    "rearrange": lambda x, y, i: ops.rearrange(x, "b t (h d) -> b h t d", h=2),
    "repeat": lambda x, y, i: ops.repeat(x, 3, axis=1),
    "reshape": lambda x, y, i: ops.reshape(x, (-1, 8, 3)),
    "rfft": lambda x, y, i: ops.rfft(x),
    "rms_normalization": lambda x, y, i: ops.rms_normalization(x, kernel(4)),
    "roll": lambda x, y, i: ops.roll(x, 2, axis=1),
    "saturate_cast": lambda x, y, i: ops.saturate_cast(x * 200, "int8"),
    "scan": lambda x, y, i: time_major(
        ops.scan(lambda c, a: (c * 0.5 + a, c), x[:, 0] * 0, time_major(x))[1]
    ),
    "scatter": lambda x, y, i: (
        ops.scatter(ops.convert_to_tensor(PATTERN), kernel(3), (WIDTH + 2,)) + x[:, :, 0]
    ),
    "scatter_update": lambda x, y, i: time_major(
        ops.scatter_update(time_major(x), PATTERN, time_major(y[:, :3]))
    ),
    "searchsorted": lambda x, y, i: ops.reshape(
        ops.searchsorted(ops.convert_to_tensor([-1.0, 0.0, 0.5]), ops.reshape(x, (-1,))),
        (-1, STEPS, WIDTH),
    ),
    "segment_max": lambda x, y, i: time_major(
        ops.segment_max(time_major(x), np.array([0, 0, 1, 1, 1, 2]), 3)
    ),
    "segment_min": lambda x, y, i: time_major(
        ops.segment_min(time_major(x), np.array([0, 0, 1, 1, 1, 2]), 3)
    ),
    "segment_prod": lambda x, y, i: time_major(
        ops.segment_prod(time_major(x), np.array([0, 0, 1, 1, 1, 2]), 3)
    ),
    "segment_sum": lambda x, y, i: time_major(
        ops.segment_sum(time_major(x), np.array([0, 0, 1, 1, 1, 2]), 3)
    ),
    "select": lambda x, y, i: ops.select([x > 0.5, y > 0], [x, y], 0.0),
    "separable_conv": lambda x, y, i: ops.separable_conv(
        x, kernel(3, 4, 2), kernel(1, 8, 5), padding="same"
    ),
    "shape": lambda x, y, i: x * ops.shape(x)[1],
    "size": lambda x, y, i: x * ops.cast(ops.size(kernel(3, 2)), "float32"),
    "slice": lambda x, y, i: time_major(
        ops.slice(time_major(x), (1, 0, 0), (3, ops.shape(x)[0], 4))
    ),
    "allclose": lambda x, y, i: ops.where(ops.allclose(kernel(3), kernel(3)), x, y),
    "flipud": lambda x, y, i: time_major(ops.flipud(time_major(x))),
    "vdot": lambda x, y, i: x + ops.vdot(kernel(3), kernel(3)),
    "ravel": lambda x, y, i: x + ops.ravel(kernel(2, 2)),
    "slice_update": lambda x, y, i: time_major(
        ops.slice_update(time_major(x), (2, 0, 0), time_major(y[:, :2]))
    ),
    "solve": lambda x, y, i: ops.solve(square(x), y[:, :4]),
    "solve_triangular": lambda x, y, i: ops.solve_triangular(square(x), y[:, :4], lower=True),
    "space_to_depth": lambda x, y, i: ops.space_to_depth(image(x), 2),
    "sparse_categorical_crossentropy": lambda x, y, i: ops.sparse_categorical_crossentropy(
        i, ops.softmax(x)
    ),
    "split": lambda x, y, i: ops.split(x, 3, axis=1),
    "squeeze": lambda x, y, i: ops.squeeze(x[:, :1], axis=1),
    "stack": lambda x, y, i: ops.stack([x, y], axis=1),
    "stft": lambda x, y, i: ops.stft(ops.reshape(x, (-1, 24)), 8, 4, 8),
    "swapaxes": lambda x, y, i: ops.swapaxes(x, 1, 2),
    "switch": lambda x, y, i: ops.switch(
        ops.cast(ops.sum(i * 0) + 1, "int32"), [lambda: x, lambda: y * 2], *()
    ),
    "take": lambda x, y, i: ops.take(kernel(5, 3), i, axis=0),
    "take_along_axis": lambda x, y, i: ops.take_along_axis(x, i[..., None], axis=1),
    "tensordot": lambda x, y, i: ops.tensordot(x, kernel(4, 3), axes=[[2], [0]]),
    "threshold": lambda x, y, i: ops.threshold(x, 0.2, -1.0),
    "tile": lambda x, y, i: ops.tile(x, (1, 2, 1)),
    "top_k": lambda x, y, i: ops.top_k(x, 3),
    "transpose": lambda x, y, i: ops.transpose(x, (0, 2, 1)),
    "tri": lambda x, y, i: x[:, :4] * ops.tri(WIDTH),
    "unfold": lambda x, y, i: ops.unfold(ops.transpose(image(x), (0, 3, 1, 2)), (2, 2)),
    "unravel_index": lambda x, y, i: ops.unravel_index(i, (2, 3)),
    "unstack": lambda x, y, i: ops.unstack(x, axis=1),
    "vander": lambda x, y, i: ops.vander(kernel(4)) + x[:, :4],
    "vectorize": lambda x, y, i: ops.vectorize(lambda a: a * 2)(x),
    "vectorized_map": lambda x, y, i: ops.vectorized_map(lambda a: a * 2 + 1, x),
    "view": lambda x, y, i: ops.view(x, "int32"),
    "view_as_real": lambda x, y, i: ops.view_as_real(ops.view_as_complex(x[..., :2])),
    "identity": lambda x, y, i: ops.matmul(x, ops.identity(WIDTH)),
    "vsplit": lambda x, y, i: [time_major(part) for part in ops.vsplit(time_major(x), 2)],
    "vstack": lambda x, y, i: time_major(ops.vstack([time_major(x), time_major(y)])),
    "where": lambda x, y, i: ops.where(x > 0, x, y),
    "while_loop": lambda x, y, i: ops.while_loop(
        lambda k, a: k < 3, lambda k, a: (k + 1, ops.tanh(a) + y), (0, x)
    )[1],
    "zeros": lambda x, y, i: x + ops.zeros((4,)),
    "view_as_complex": lambda x, y, i: ops.real(ops.view_as_complex(x[..., :2])),
    "custom_gradient": lambda x, y, i: ops.custom_gradient(
        lambda a: (a * 2, lambda *args, upstream: upstream)
    )(x),
}

# Functions that are no part of a graph, and one of images.
NO_TENSORS = {"convert_to_numpy", "dtype", "is_tensor", "fold"}

# What the TensorFlow backend of Keras does not compute in a graph.
UNTRACED = {"bartlett"}

# Linear algebra, complex numbers, bits, sizes that depend on values, and other rows of a batch: a
# sequence model seldom has them, and a refusal that says so will do.
SELDOM = {
    *MATRIX, *INTEGERS,
    "allclose", "angle", "argpartition", "bincount", "bitwise_invert", "bitwise_not",
    "corrcoef", "ctc_decode", "ctc_loss", "custom_gradient", "dsplit", "empty_like",
    "erfinv", "extract_sequences", "fold", "histogram", "i0", "imag", "istft", "jvp", "kron",
    "lstsq", "lu_factor", "nextafter", "nonzero", "polar", "psnr", "qr", "solve",
    "solve_triangular", "unique", "vectorize", "view", "view_as_complex", "view_as_real",
    "vsplit", "unfold", "signbit", "nanmedian",
    "nanpercentile", "nanquantile", "unravel_index",
}  # fmt: skip


class Apply(keras.layers.Layer):
    """A layer that applies a function."""

    def __init__(self, function: Callable[..., Any], name: str = "mine") -> None:
        super().__init__(name=name)
        self.function = function

    def call(self, *inputs: Any) -> Any:
        return self.function(*inputs)

    def compute_output_spec(self, *inputs: Any) -> Any:
        """Returns what a call on `ROWS` rows shows: Keras cannot infer all shapes itself."""
        shapes = [(ROWS, *(size or OPEN for size in x.shape[1:])) for x in inputs]
        tensors = [ops.zeros(size, x.dtype) for size, x in zip(shapes, inputs, strict=True)]
        outputs = self.call(*tensors)

        def spec(value: Any) -> keras.KerasTensor:
            shape = [None if size in (ROWS, OPEN) else size for size in value.shape]
            return keras.KerasTensor(shape, keras.backend.standardize_dtype(value.dtype))

        return keras.tree.map_structure(spec, outputs)


def build_op(name: str) -> keras.Model:
    """Returns a model that applies a function of `keras.ops`, rows apart."""
    x, y = keras.Input((STEPS, WIDTH), name="x"), keras.Input((STEPS, WIDTH), name="y")
    i = keras.Input((STEPS,), dtype="int32", name="i")
    return keras.Model([x, y, i], Apply(USES[name], name=f"apply_{name}")(x, y, i))
