"""Whether a runtime computes what Keras computes: the same inputs through both."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import runtime, strings
from keras_seq.console import show_progress
from keras_seq.errors import UserError
from keras_seq.signature import Signature, SignatureSpec
from keras_seq.typing import Arrays

Run = Callable[[str, Arrays], Arrays]

# fp32: absolute, or relative to the largest value of the output.
TOLERANCE = 1e-4

# A token may differ where a boundary of the distribution is so near to the number drawn; of all
# tokens, so many must be the same.
NEAR = 1e-5
LEAST_AGREEMENT = 0.999

# Of a reference, beside the outputs: how near each choice was to another.
MARGINS = "margins"

# Random inputs that a bundle carries with Keras's answers: none of them is a user's text.
RANDOM_ROWS = 16
BATCH = 50
LATENCY_CALLS = 20


@dataclass(frozen=True)
class Parity:
    """How a signature in a runtime compares with Keras.

    Attributes:
        inputs: Rows compared.
        largest_difference: Of all float outputs, absolute.
        agreement: Share of rows with the same answer: the same largest value of each float output,
            equal integers. Where tokens are generated, share of the tokens: up to the first that
            differs in a row, on which the others depend.
        within_tolerance: Whether float outputs differ by `TOLERANCE` at most and integers by none,
            but for tokens that were drawn as near to a boundary as `NEAR`, and those few.
        latency_ms: Median time of a call with the longest row, one thread.
        differences: What is not within the tolerance, each in a few words; not in the manifest.
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


def references(signature: Signature, *given: Arrays) -> list[Arrays]:
    """What Keras answers, on the backend it runs, to each of these inputs; and the `MARGINS`, where
    it draws.
    """
    import keras

    parts = [_batches(signature, inputs) for inputs in given]
    function = _traced_once(signature, [part for some in parts for part in some])
    answers = []
    for some in parts:
        found = []
        for part in show_progress(some, f"Keras, {signature.name}"):
            outputs = function(**{n: keras.ops.convert_to_tensor(a) for n, a in part.items()})
            found.append({n: keras.ops.convert_to_numpy(value) for n, value in outputs.items()})
            if signature.margins is not None:
                found[-1][MARGINS] = signature.margins(part, found[-1])
        answers.append({name: np.concatenate([f[name] for f in found]) for name in found[0]})
    return answers


def _traced_once(signature: Signature, parts: Sequence[Arrays]) -> Callable[..., Any]:
    """The function of a signature; with TensorFlow a graph that takes all these inputs.

    A `tf.function` of its own accord is traced, and its graph optimised, anew for other shapes: of
    a loop that takes longer than it runs.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return signature.function
    import tensorflow as tf

    specs = {}
    for name, value in parts[0].items():
        shape, *others = (tf.TensorShape(part[name].shape) for part in parts)
        for other in others:
            shape = shape.most_specific_compatible_shape(other)
        specs[name] = tf.TensorSpec(shape, keras.ops.convert_to_tensor(value).dtype, name=name)
    return tf.function(signature.function, autograph=False).get_concrete_function(**specs)


def compare(run: Run, signature: SignatureSpec, inputs: Arrays, expected: Arrays) -> Parity:
    """Runs `inputs` and compares the outputs with `expected`.

    Args:
        run: `run(signature name, inputs) -> outputs`.
        signature: Which one.
        inputs: Arrays with the same number of rows each.
        expected: What Keras answered; see `reference`.
    """
    parts = [
        run(signature.name, part)
        for part in show_progress(_batches(signature, inputs), signature.name)
    ]
    rows = _rows(inputs)
    largest, differences, unequal = 0.0, [], []
    equal, same = np.ones(rows, bool), np.ones(rows, bool)
    for tensor in signature.outputs:
        found = np.concatenate([part[tensor.name] for part in parts])
        wanted = expected[tensor.name]
        if found.shape != wanted.shape:
            raise UserError(
                f"{signature.name}: {tensor.name} has the shape {list(found.shape)}, in Keras "
                f"{list(wanted.shape)}."
            )
        if wanted.dtype.kind != "f":
            as_wanted = (found == wanted).reshape(rows, -1).all(axis=1)
            unequal += [] if as_wanted.all() else [tensor.name]
            equal &= as_wanted
            continue
        difference = float(np.abs(found - wanted).max(initial=0))
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        # Written so that a NaN on either side is outside.
        if not difference <= TOLERANCE * scale:
            differences.append(
                f"{tensor.name} differs by {difference:.3g} (allowed: {TOLERANCE * scale:.3g})"
            )
        largest = max(largest, difference) if difference == difference else float("nan")
        if found.ndim > 1:
            answers = found.argmax(axis=-1) == wanted.argmax(axis=-1)
            same &= answers.reshape(rows, -1).all(axis=1)
    agreement = float((same & equal).mean())
    if MARGINS in expected:
        name = signature.outputs[0].name
        found = np.concatenate([part[name] for part in parts])
        excused, agreement = _choices(found, expected[name], expected[MARGINS])
        equal |= excused
        if agreement < LEAST_AGREEMENT:
            differences.append(
                f"{agreement:.2%} of {name} is the same (at least {LEAST_AGREEMENT:.1%})"
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
        latency_ms=_latency(run, signature, inputs),
        differences=tuple(differences),
    )


def _choices(found: np.ndarray, wanted: np.ndarray, margins: np.ndarray) -> tuple[Any, float]:
    """Of each row, whether its first difference is where another choice was `NEAR`; and the share
    of equal values up to there. All are `(rows, N)`.
    """
    differs = found != wanted
    first = np.where(differs.any(axis=1), differs.argmax(axis=1), found.shape[1])
    at = np.minimum(first, found.shape[1] - 1)[:, None]
    excused = np.take_along_axis(margins, at, axis=1)[:, 0] <= NEAR
    differing = int((first < found.shape[1]).sum())
    compared = int(np.minimum(first + 1, found.shape[1]).sum())
    return excused, 1 - differing / max(1, compared)


def prove(
    loaded: runtime.LoadedBundle,
    signatures: Sequence[SignatureSpec],
    inputs: Mapping[str, Arrays],
    expected: Mapping[str, Arrays],
    advice: str,
) -> dict[str, dict[str, Any]]:
    """Compares each signature in a format with what Keras answered.

    Args:
        loaded: The bundle in one format.
        signatures: Those of the model; on strings, too, where the format has them.
        inputs: Of each signature.
        expected: What Keras answered to them.
        advice: What the user is told where they differ.

    Returns:
        The figures by signature; see `Parity`.

    Raises:
        UserError: If a difference is above the tolerance.
    """
    figures = {}
    inputs, expected = strings.arrays_with_strings(signatures, inputs, expected)
    signatures = [s for s in strings.with_strings(signatures) if s.name in loaded.signatures]
    for signature in signatures:
        found = compare(
            lambda signature, arrays: loaded.run(signature, **arrays),
            signature,
            inputs[signature.name],
            expected[signature.name],
        )
        if not found.within_tolerance:
            raise UserError(
                f"{loaded.format} does not compute what Keras computes. Of {signature.name}, "
                f"{'; '.join(found.differences)}. {advice}"
            )
        figures[signature.name] = found.to_json()
    return figures


def save_reference(path: Path, inputs: Mapping[str, Arrays], outputs: Mapping[str, Arrays]) -> None:
    """Keeps inputs and Keras's answers by signature, to check a bundle where there is no Keras."""
    arrays = {}
    for kind, values in (("inputs", inputs), ("outputs", outputs)):
        for signature, tensors in values.items():
            for name, array in tensors.items():
                arrays[f"{signature}/{kind}/{name}"] = array
    np.savez_compressed(path, **arrays)


def load_reference(path: Path) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
    """What `save_reference` kept: `(inputs, outputs)` by signature."""
    found: dict[str, dict[str, Arrays]] = {"inputs": {}, "outputs": {}}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            signature, kind, name = key.split("/")
            found[kind].setdefault(signature, {})[name] = arrays[key]
    return found["inputs"], found["outputs"]


def _rows(inputs: Arrays) -> int:
    return len(next(iter(inputs.values())))


def _batches(signature: SignatureSpec, inputs: Arrays) -> list[Arrays]:
    """The rows in parts, each as large as the signature's batch where that is fixed.

    An input without dimensions has a row for each call of one row, too: a part ends where it
    changes.
    """
    fixed = signature.inputs[0].shape[0]
    batch = fixed if isinstance(fixed, int) else BATCH
    scalars = [tensor.name for tensor in signature.inputs if not tensor.shape]
    rows, ends = _rows(inputs), []
    for row in range(1, rows + 1):
        full = row - (ends[-1] if ends else 0) == batch
        if row == rows or full or any(inputs[s][row] != inputs[s][row - 1] for s in scalars):
            ends.append(row)
    return [
        {
            name: array[start] if name in scalars else array[start:end]
            for name, array in inputs.items()
        }
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def _latency(run: Run, signature: SignatureSpec, inputs: Arrays) -> float:
    sizes = sum(np.count_nonzero(a.reshape(len(a), -1), axis=1) for a in inputs.values())
    fixed = signature.inputs[0].shape[0]
    rows = fixed if isinstance(fixed, int) else 1
    longest = int(np.argmax(sizes)) // rows * rows
    row = _batches(signature, {n: a[longest : longest + rows] for n, a in inputs.items()})[0]
    times = []
    for _ in range(LATENCY_CALLS):
        start = time.perf_counter()
        run(signature.name, row)
        times.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(times), 3)
