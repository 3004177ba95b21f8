"""TFLite: one file, several signatures, built-in operators only."""

import functools
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.formats import add_precision, saved_model
from export.formats.interrupt import Interrupt
from export.formats.refusals import find_names, refuse
from export.formats.tflite_file import find_foreign
from keras_seq.errors import UserError
from keras_seq.messages import hide_messages
from keras_seq.signature import Signature
from keras_seq.typing import Shapes, Tensor

CellState = tuple[Tensor, ...]

FOLDER = "tflite"
FILE = "model.tflite"
STATIC = True  # LiteRT in a browser refuses shapes that change.
RULES = True
STRINGS = False
RUNS_CODE = False
PACKAGES = ("ai-edge-litert",)
REQUIRES = "ai_edge_litert"
EXTRA = "tflite"
# Functions of Keras whose operators TFLite has not; see `Lowering.lacks`.
LACKS = frozenset(
    [
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctanh",
        "conv_transpose",
        "cosh",
        "cumprod",
        "diagonal",
        "erf",
        "erfc",
        "erfinv",
        "fft",
        "fft2",
        "gelu",
        "irfft",
        "log_sigmoid",
        "rfft",
        "sinh",
        "softplus",
        "stft",
        "tan",
    ]
)
# Operators of files that a standard runtime does not open, or that keep a state.
FOREIGN = r"FLEX|CUSTOM|VARIABLE|VAR_HANDLE|(READ|ASSIGN)_VARIABLE|CALL_ONCE|HASHTABLE"
USE = """\
```python
from keras_seq import export

export.load("BUNDLE", VARIANT).CALL
```

Any LiteRT runtime (Android, iOS, C++, the browser) runs `tflite/model.tflite`: built-in operators
only, no Flex delegate, no custom operators."""


def write(signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]) -> None:
    """Writes `folder/tflite/model.tflite`, with the dimensions in `sizes` fixed.

    Raises:
        UserError: If the model needs an operator outside the built-in set.
    """
    import tensorflow as tf

    from export.formats.trace import trace
    from keras_seq.layers.lowering import Lowering
    from keras_seq.layers.recurrence import run_loop

    (folder / FOLDER).mkdir(parents=True)
    rules = Lowering(
        functools.partial(run_loop, scan=scan),
        update_cache_slice,
        scan=scan,
        rfft=transform,
        lacks=LACKS,
    )
    functions = {signature.name: trace(signature, sizes, rules) for signature in signatures}
    with tempfile.TemporaryDirectory() as traced:
        saved_model.write_functions(functions, Path(traced))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(Path(traced) / saved_model.FOLDER),
            signature_keys=list(functions),
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        # Says how the file was made; reading and writing it in Python is a fifth of the time.
        converter.exclude_conversion_metadata = True
        try:
            with hide_messages("tensorflow", keep_on_error=False):
                content = converter.convert()
        except Exception as error:
            raise _refuse(str(error), list(functions.values())) from error
    (folder / FOLDER / FILE).write_bytes(content)
    foreign = [name for name in operators(folder) if re.match(FOREIGN, name)]
    if foreign:
        raise UserError(
            f"The TFLite file needs {', '.join(foreign)}, which no standard LiteRT runtime has. "
            "Build the model from layers whose operators TFLite has built in."
        )


def transform(x: Tensor, size: int) -> tuple[Tensor, Tensor] | None:
    """Returns the Fourier transform of real numbers; the operator knows powers of two alone."""
    import tensorflow as tf

    if size & (size - 1):
        return None
    spectrum = tf.signal.rfft(x)
    return tf.math.real(spectrum), tf.math.imag(spectrum)


def update_cache_slice(cache: Tensor, new: Tensor, cache_position: Any) -> Tensor:
    """As `keras_seq.layers.cache.select_update`; a single row is updated in place."""
    from keras import ops

    from keras_seq.layers.cache import select_update

    if cache.shape[0] == 1:
        start = (0, 0, ops.reshape(cache_position.position, ()), 0)
        return ops.slice_update(cache, start, new)  # DYNAMIC_UPDATE_SLICE, which copies nothing
    return select_update(cache, new, cache_position)


# The interpreter pays for every turn of a loop: 3.5 ms with 1 step a turn, 2.9 with 4 (LSTM, 128
# steps, 128 inputs, 256 units).
STEPS_PER_TURN = 4


def scan(
    step: Any,
    state: CellState,
    xs: CellState,
    *,
    reverse: bool = False,
    collect: int = 1,
) -> tuple[CellState, CellState]:
    """As `keras_seq.layers.scan.scan`, in operators that TFLite has built in.

    A TensorArray becomes a tensor list, which TFLite lacks for open sizes, and browsers at all.
    Slices of the inputs and updates of one buffer of outputs do for every size.
    """
    import tensorflow as tf
    from keras import ops

    state = tuple(tf.convert_to_tensor(part) for part in state)
    static = xs[0].shape[0]
    steps = tf.shape(xs[0])[0] if static is None else static
    turns = steps // STEPS_PER_TURN
    rest = steps - turns * STEPS_PER_TURN
    shapes = [[static, *part.shape] for part in state[:collect]]
    # The runtime checks the update of a whole turn even where there is none.
    places = tf.maximum(steps, STEPS_PER_TURN) if static is None else static
    outputs = tuple(
        tf.zeros(shape if all(shape) else tf.concat([[places], tf.shape(part)], axis=0), part.dtype)
        for part, shape in zip(state, shapes, strict=False)
    )

    def walk(
        first: Tensor,
        turns: Tensor,
        count: int,
        state: CellState,
        outputs: CellState,
    ) -> tuple:
        """Runs `turns` turns of `count` steps, on the steps from `first`."""

        def turn(
            i: Tensor, state: CellState, outputs: CellState
        ) -> tuple[Tensor, CellState, CellState]:
            start = first + (turns - 1 - i if reverse else i) * count
            parts = [
                tf.slice(x, [start] + [0] * (x.shape.rank - 1), [count, *[-1] * (x.shape.rank - 1)])
                for x in xs
            ]
            hidden = [()] * count
            for k in reversed(range(count)) if reverse else range(count):
                state = step(state, tuple(part[k] for part in parts))
                hidden[k] = state[:collect]
            outputs = tuple(
                ops.slice_update(whole, [start] + [0] * (whole.shape.rank - 1), tf.stack(parts))
                for whole, *parts in zip(outputs, *hidden, strict=True)
            )
            return i + 1, state, outputs

        if isinstance(turns, int) and turns == 1:
            _, state, outputs = turn(0, state, outputs)
            return state, outputs
        _, state, outputs = tf.while_loop(
            lambda i, *_: i < turns,
            turn,
            (tf.constant(0), state, outputs),
            shape_invariants=(
                tf.TensorShape([]),
                tuple(part.shape for part in state),
                tuple(tf.TensorShape(shape) for shape in shapes),
            ),
            maximum_iterations=turns,
        )
        return state, outputs

    # Steps that don't fill a turn come last: the end of the sequence, in reverse its beginning.
    if static is None or turns:
        state, outputs = walk(rest if reverse else 0, turns, STEPS_PER_TURN, state, outputs)
    start = 0 if reverse else turns * STEPS_PER_TURN
    if static is None:
        state, outputs = walk(start, rest, 1, state, outputs)
        outputs = tuple(part[:steps] for part in outputs)
    elif rest:
        state, outputs = walk(start, 1, rest, state, outputs)
    outputs = tuple(map(tf.ensure_shape, outputs, shapes))
    return outputs, state


def _refuse(message: str, functions: Sequence[Any]) -> UserError:
    """Returns the refusal of what the converter refuses in `message`."""
    refused = set(re.findall(r"tf\.(\w+)' op is neither", message))
    names = set() if refused else find_names(message, functions)
    return refuse("TFLite", functions, refused, names)


def name_files(signatures: Collection[str], precision: str) -> list[str]:
    """Returns the files that the signatures need."""
    return [f"{FOLDER}/{add_precision(FILE, precision)}"]


def operators(folder: Path, files: Collection[str] | None = None) -> Counter[str]:
    """Counts the operators in the file, or in each of `files`.

    Operators that are not built in count as "CUSTOM name", tensors kept between calls as "VARIABLE
    TENSOR".
    """
    counts: Counter[str] = Counter()
    for name in files or (f"{FOLDER}/{FILE}",):
        counts.update(_count_operators((folder / name).read_bytes()))
    return counts


def _count_operators(content: bytes) -> Counter[str]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    kinds = []
    for code in map(model.OperatorCodes, range(model.OperatorCodesLength())):
        custom = code.CustomCode()
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kinds.append(f"CUSTOM {custom.decode()}" if custom else names[builtin])
    counts: Counter[str] = Counter()
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            counts[kinds[operator.OpcodeIndex()]] += 1
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            if tensor.IsVariable():
                counts["VARIABLE TENSOR"] += 1
    return counts


class Runner:
    """Runs `tflite/model.tflite` with LiteRT's interpreter."""

    def __init__(
        self,
        folder: Path,
        threads: int | None,
        precision: str = "float32",
        device: str | None = None,
        files: Collection[str] | None = None,
    ) -> None:
        if device not in (None, "cpu"):
            raise UserError(
                f"LiteRT in Python runs on the CPU. Received: device={device!r}. The ONNX files of "
                'a bundle run on others: format="onnx".'
            )
        from ai_edge_litert.interpreter import Interpreter

        path = folder / FOLDER / add_precision(FILE, precision)
        foreign = find_foreign(path)
        if foreign:
            raise UserError(
                f"{path} needs {', '.join(foreign)}. Only operators that TFLite has built in are "
                "run, with weights in the file: export the model again."
            )
        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._has_run = False

    def open(self, signature: str) -> tuple[Shapes, list[str]]:
        """Returns a signature's inputs with their shapes, and the names of its outputs."""
        runner = self._interpreter.get_signature_runner(signature)
        shapes = {
            name: [int(size) if size >= 0 else None for size in details["shape_signature"]]
            for name, details in runner.get_input_details().items()
        }
        return shapes, list(runner.get_output_details())

    def __call__(
        self, signature: str, inputs: dict[str, np.ndarray], interrupt: Interrupt | None = None
    ) -> dict[str, np.ndarray]:
        runner = self._interpreter.get_signature_runner(signature)
        # The converter leaves out an input that the model does not use.
        used = {name: inputs[name] for name in runner.get_input_details()}
        if self._has_run:
            return runner(**used)
        self._has_run = True
        with hide_messages():  # A process's first call says that it runs on the CPU.
            return runner(**used)
