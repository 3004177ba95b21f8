"""Whether a runtime computes what Keras computes: the same inputs through both."""

import math
import statistics
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from export import runtime, strings
from keras_seq.console import show_progress
from keras_seq.errors import UserError, quote_error
from keras_seq.signature import Signature, SignatureSpec, TensorSpec
from keras_seq.typing import Arrays

Run = Callable[[str, Arrays], Arrays]

# Largest difference of fp32 values: absolute, or relative to the largest value of the output.
TOLERANCE = 1e-4

LARGEST = np.finfo("float32").max

# A sampled token may differ where the random number is this close to the boundary between two
# tokens; but at least this share of all tokens must be the same.
BOUNDARY = 1e-5
MIN_AGREEMENT = 0.999

# Key in a reference, beside the outputs: how close each choice was to another.
MARGINS = "margins"

# Random inputs that a bundle carries with Keras's answers, so that no user's text is in it.
RANDOM_ROWS = 16
BATCH = 50
# Of the arrays that a bundle carries; whoever checks it allocates them.
MAX_REFERENCE_BYTES = 1 << 31
MAX_REFERENCE_ARRAYS = 100_000
# A latency is the median of these calls at most, of fewer where they take longer than this.
LATENCY_CALLS = 20
LATENCY_SECONDS = 0.25


class DifferenceError(UserError):
    """A runtime does not compute what Keras computes."""


@dataclass(frozen=True)
class Parity:
    """How a signature in a runtime compares with Keras.

    Attributes:
        inputs: Number of rows compared.
        largest_difference: Largest absolute difference of all float outputs.
        agreement: Share of rows with the same answer: the largest value of each float output at the
            same index, equal integers. Where tokens are generated, share of the tokens, up to the
            first in each row that differs, on which the others depend.
        within_tolerance: Whether float outputs differ by at most `TOLERANCE` and integers are
            equal, except for a few tokens that were sampled within `BOUNDARY` of another.
        latency_ms: Median time of a call with the longest row, on one thread; 0 if not measured.
        differences: What is outside the tolerance, each in a few words; not in the manifest.
    """

    inputs: int
    largest_difference: float
    agreement: float
    within_tolerance: bool
    latency_ms: float
    differences: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        figures = asdict(self)
        del figures["differences"]
        return figures


def answer(signature: Signature, *groups: Arrays) -> list[Arrays]:
    """Returns Keras's answers to each of the inputs, with the `MARGINS` of one that samples."""
    import keras

    parts = [_batches(signature, inputs) for inputs in groups]
    function = signature.function
    if signature.traced is None:
        function = _trace_shapes(signature, [part for batches in parts for part in batches])
    answers = []
    for batches in parts:
        outputs = []
        for part in show_progress(batches, f"Keras, {signature.name}"):
            tensors = {name: keras.ops.convert_to_tensor(array) for name, array in part.items()}
            values = function(**tensors)
            outputs.append({n: keras.ops.convert_to_numpy(value) for n, value in values.items()})
            if signature.margins is not None:
                outputs[-1][MARGINS] = signature.margins(part, outputs[-1])
        answers.append({n: np.concatenate([part[n] for part in outputs]) for n in outputs[0]})
    return answers


def _trace_shapes(signature: Signature, parts: Sequence[Arrays]) -> Callable[..., Any]:
    """Returns the function as a graph for these inputs; sizes that they share are fixed.

    Stock layers may be wrong where sizes are open (`TimeDistributed`), and a `tf.function` would be
    traced again for each shape. What Keras can only compute step by step it computes so.
    """
    import keras
    import tensorflow as tf

    specs = {}
    for name, value in parts[0].items():
        shape, *others = (tf.TensorShape(part[name].shape) for part in parts)
        for other in others:
            shape = shape.most_specific_compatible_shape(other)
        specs[name] = tf.TensorSpec(shape, keras.ops.convert_to_tensor(value).dtype, name=name)
    names = list(specs)

    def call(*tensors: Any) -> dict[str, Any]:
        return signature.function(**dict(zip(names, tensors, strict=True)))

    try:
        traced = tf.function(call, autograph=False).get_concrete_function(*specs.values())
    except Exception:  # Keras has functions that no graph holds, and ours do.
        return signature.function
    return lambda **tensors: traced(*(tensors[name] for name in names))


def compare(
    run: Run, signature: SignatureSpec, inputs: Arrays, expected: Arrays, timed: bool = True
) -> Parity:
    """Runs `inputs` and compares the outputs with `expected`.

    Args:
        run: `run(signature name, inputs) -> outputs`.
        signature: Signature to run.
        inputs: Arrays with the same number of rows each.
        expected: Keras's answers; see `answer`.
        timed: Measure the latency, too.
    """
    parts = [
        run(signature.name, part)
        for part in show_progress(_batches(signature, inputs), signature.name)
    ]
    rows = _rows(inputs)
    largest, differences, unequal = 0.0, [], []
    equal, same = np.ones(rows, bool), np.ones(rows, bool)
    for tensor in signature.outputs:
        actual = np.concatenate([part[tensor.name] for part in parts])
        reference = expected[tensor.name]
        if actual.shape != reference.shape:
            raise UserError(
                f"{signature.name}: {tensor.name} has the shape {list(actual.shape)}, in Keras "
                f"{list(reference.shape)}."
            )
        if reference.dtype.kind != "f":
            as_in_keras = (actual == reference).reshape(rows, -1).all(axis=1)
            unequal += [] if as_in_keras.all() else [tensor.name]
            equal &= as_in_keras
            continue
        difference, scale = _measure_difference(actual, reference)
        # Written so that a NaN on either side is outside.
        if not difference <= TOLERANCE * scale:
            differences.append(
                f"{tensor.name} differs by {difference:.3g} (allowed: {TOLERANCE * scale:.3g})"
            )
        largest = max(largest, difference) if difference == difference else float("nan")
        if actual.ndim > 1:
            answers = actual.argmax(axis=-1) == reference.argmax(axis=-1)
            same &= answers.reshape(rows, -1).all(axis=1)
    agreement = float((same & equal).mean())
    if MARGINS in expected:
        name = signature.outputs[0].name
        actual = np.concatenate([part[name] for part in parts])
        excused, agreement = _compare_samples(actual, expected[name], expected[MARGINS])
        equal |= excused
        if agreement < MIN_AGREEMENT:
            differences.append(
                f"{agreement:.2%} of {name} is the same (at least {MIN_AGREEMENT:.1%})"
            )
    if not equal.all():
        differences.append(
            f"{int((~equal).sum())} of {rows} rows differ in {', '.join(unequal)} (allowed: none)"
        )
    return Parity(
        inputs=rows,
        largest_difference=largest,
        agreement=agreement,
        within_tolerance=not differences,
        latency_ms=_measure_latency(run, signature, inputs) if timed else 0.0,
        differences=tuple(differences),
    )


def _measure_difference(actual: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Returns the largest difference, and the largest value that is finite.

    An infinity is the largest number there is: TFLite's converter makes that of it.
    """
    actual, reference = (np.clip(x, -LARGEST, LARGEST) for x in (actual, reference))
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.abs(actual - reference)
    finite = np.where(np.abs(reference) < LARGEST, reference, 0)
    return float(difference.max(initial=0)), max(1.0, float(np.abs(finite).max(initial=0)))


def _compare_samples(
    actual: np.ndarray, reference: np.ndarray, margins: np.ndarray
) -> tuple[np.ndarray, float]:
    """Returns whether the first difference of each row is excused, `(rows,)`, and the agreement.

    It is excused within `BOUNDARY` of another choice. The agreement is the share of equal values
    up to the first difference. All arguments are `(rows, N)`.
    """
    differs = actual != reference
    first = np.where(differs.any(axis=1), differs.argmax(axis=1), actual.shape[1])
    at = np.minimum(first, actual.shape[1] - 1)[:, None]
    excused = np.take_along_axis(margins, at, axis=1)[:, 0] <= BOUNDARY
    differing = int((first < actual.shape[1]).sum())
    compared = int(np.minimum(first + 1, actual.shape[1]).sum())
    return excused, 1 - differing / max(1, compared)


def prove(
    loaded: runtime.LoadedBundle,
    signatures: Sequence[SignatureSpec],
    inputs: Mapping[str, Arrays],
    expected: Mapping[str, Arrays],
    advice: str,
    timed: bool = True,
) -> dict[str, dict[str, Any]]:
    """Compares each signature in a format with Keras's answers.

    Args:
        loaded: The bundle in one format.
        signatures: Signatures of the model; those on strings are added where the format has them.
        inputs: Inputs of each signature.
        expected: Keras's answers to them.
        advice: Sentence for the user if they differ.
        timed: Measure latencies, too.

    Returns:
        The figures by signature; see `Parity`.

    Raises:
        DifferenceError: If a difference is above the tolerance.
    """
    figures = {}
    inputs, expected = strings.add_string_arrays(signatures, inputs, expected)
    signatures = [s for s in strings.add_strings(signatures) if s.name in loaded.signatures]
    for signature in signatures:
        name = signature.name
        parity = compare(
            lambda name, arrays: loaded.run(name, **arrays),
            signature,
            inputs[name],
            expected[name],
            timed,
        )
        if not parity.within_tolerance:
            raise DifferenceError(
                f"{loaded.format} does not compute what Keras computes. In {name}, "
                f"{'; '.join(parity.differences)}. {advice}"
            )
        figures[name] = parity.to_json()
    return figures


def save_reference(path: Path, inputs: Mapping[str, Arrays], outputs: Mapping[str, Arrays]) -> None:
    """Saves inputs and Keras's answers by signature, to check a bundle where there is no Keras."""
    arrays = {}
    for kind, values in (("inputs", inputs), ("outputs", outputs)):
        for signature, tensors in values.items():
            for name, array in tensors.items():
                arrays[f"{signature}/{kind}/{name}"] = array
    np.savez_compressed(path, **arrays)


def load_reference(
    file: BinaryIO, specs: Mapping[str, SignatureSpec]
) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
    """Returns what `save_reference` saved: `(inputs, outputs)` by signature.

    Args:
        file: The open file.
        specs: The signatures of the bundle by name.

    Raises:
        UserError: If it is damaged, larger than any that was written, or of other signatures.
    """
    reference: dict[str, dict[str, Arrays]] = {"inputs": {}, "outputs": {}}
    try:
        with np.load(file, allow_pickle=False) as arrays:
            _bound_reference(arrays.zip)
            for key in arrays.files:
                signature, kind, name = key.split("/")
                reference[kind].setdefault(signature, {})[name] = arrays[key]
        for signature in {**reference["inputs"], **reference["outputs"]}:
            inputs, outputs = (reference[kind][signature] for kind in ("inputs", "outputs"))
            _require_reference(specs[signature], inputs, outputs)
        if not reference["inputs"]:
            raise ValueError("it is empty")
    except Exception as error:  # Of zipfile, zlib, NumPy and of ours.
        raise UserError(
            f"The random inputs and Keras's answers to them cannot be read: {quote_error(error)} "
            f"({type(error).__name__}). Export the bundle again."
        ) from error
    return reference["inputs"], reference["outputs"]


def _bound_reference(archive: zipfile.ZipFile) -> None:
    """Refuses an archive whose arrays would need much memory, before any of it is allocated."""
    files = archive.infolist()
    size = sum(info.file_size for info in files)
    if size > MAX_REFERENCE_BYTES or len(files) > MAX_REFERENCE_ARRAYS:
        raise ValueError(
            f"{len(files):,} arrays of {size:,} bytes are more than {MAX_REFERENCE_ARRAYS:,} of "
            f"{MAX_REFERENCE_BYTES:,}"
        )
    for info in files:
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[version[0]](member)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize > info.file_size:
            raise ValueError(f"{ascii(info.filename)[:80]} is not an array of numbers")


def _require_reference(spec: SignatureSpec, inputs: Arrays, outputs: Arrays) -> None:
    known = {t.name for t in spec.inputs}, {t.name for t in spec.outputs}
    if set(inputs) != known[0] or set(outputs) - {MARGINS} != known[1]:
        raise ValueError(f"it has other inputs or outputs of {spec.name} than the manifest")
    rows = _rows(inputs)
    for tensor, array in (
        *((tensor, inputs[tensor.name]) for tensor in spec.inputs),
        *((tensor, outputs[tensor.name]) for tensor in spec.outputs),
    ):
        # A row for each call of one row, also of what has no batch.
        inside = tensor.shape if tensor in spec.inputs and _is_shared(tensor) else tensor.shape[1:]
        fits = array.dtype.kind in "biuf" and array.shape[:1] == (rows,) and rows > 0
        fixed = zip(inside, array.shape[1:], strict=False)
        if (
            not fits
            or array.ndim != 1 + len(inside)
            or any(isinstance(size, int) and size != received for size, received in fixed)
        ):
            raise ValueError(
                f"{spec.name}: {tensor.name} is {array.dtype} {list(array.shape)} in it"
            )
    if MARGINS in outputs and outputs[MARGINS].shape != outputs[spec.outputs[0].name].shape:
        raise ValueError(f"{spec.name}: its margins have another shape")


def _rows(inputs: Arrays) -> int:
    return len(next(iter(inputs.values())))


def _batches(signature: SignatureSpec, inputs: Arrays) -> list[Arrays]:
    """Splits the rows into parts, each as large as the signature's batch where that is fixed.

    An input without a batch has a value for each row, too: a part ends where it changes.
    """
    fixed = signature.inputs[0].shape[0]
    batch = fixed if isinstance(fixed, int) else BATCH
    shared = [tensor.name for tensor in signature.inputs if _is_shared(tensor)]
    rows, ends = _rows(inputs), []
    for row in range(1, rows + 1):
        full = row - (ends[-1] if ends else 0) == batch
        if row == rows or full or any(_changes(inputs[name], row) for name in shared):
            ends.append(row)
    return [
        {
            name: array[start] if name in shared else array[start:end]
            for name, array in inputs.items()
        }
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def _is_shared(tensor: TensorSpec) -> bool:
    """Whether all rows of a call have the same value of an input."""
    size = tensor.shape[0] if tensor.shape else ""
    return isinstance(size, str) and size != "B"


def _changes(array: np.ndarray, row: int) -> bool:
    return row < len(array) and not np.array_equal(array[row], array[row - 1])


def _measure_latency(run: Run, signature: SignatureSpec, inputs: Arrays) -> float:
    sizes = sum(np.count_nonzero(a.reshape(len(a), -1), axis=1) for a in inputs.values())
    fixed = signature.inputs[0].shape[0]
    rows = fixed if isinstance(fixed, int) else 1
    longest = int(np.argmax(sizes)) // rows * rows
    row = _batches(signature, {n: a[longest : longest + rows] for n, a in inputs.items()})[0]
    times: list[float] = []
    while len(times) < LATENCY_CALLS and sum(times) < LATENCY_SECONDS:
        start = time.perf_counter()
        run(signature.name, row)
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times), 3)
