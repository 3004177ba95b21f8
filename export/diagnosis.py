"""Why a runtime does not compute what Keras computes, where the model itself is the reason."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from export import parity
from export.keras_layers.precision import float32
from keras_seq.errors import UserError
from keras_seq.signature import Signature
from keras_seq.typing import Arrays

ROWS = 3  # that are asked for alone


def find_nan(answers: Sequence[Mapping[str, Arrays]]) -> str | None:
    """Returns the name of the first output that is NaN somewhere; None if there is none.

    Args:
        answers: Outputs of each signature, for one or more groups of inputs.
    """
    for outputs in (outputs for group in answers for outputs in group.values()):
        for name, array in outputs.items():
            if array.dtype.kind == "f" and np.isnan(array).any():
                return name
    return None


def require_rows(
    signatures: Sequence[Signature],
    inputs: Mapping[str, Arrays],
    answers: Mapping[str, Arrays],
) -> None:
    """Raises UserError if an output has not a row for each row of the inputs."""
    for signature in signatures:
        rows = [
            len(inputs[signature.name][t.name]) for t in signature.inputs if t.shape[:1] == ("B",)
        ]
        for tensor in signature.outputs:
            found = len(answers[signature.name][tensor.name]) if tensor.shape[:1] == ("B",) else 0
            if rows and found and found != rows[0]:
                raise UserError(
                    f"The output {tensor.name!r} cannot be exported: it has {found:,} rows for "
                    f"{rows[0]:,} of the inputs, as many as their values make. Give each row of "
                    "the inputs one of the output, for instance a mask."
                )


def explain_nan(model: keras.Model, output: str) -> str:
    """Returns why Keras itself answers NaN, as far as the weights of the model tell."""
    told = []
    for layer in model.layers:
        weights = [keras.ops.convert_to_numpy(w) for w in layer.weights]
        broken = sum(int((~np.isfinite(w)).sum()) for w in weights if w.dtype.kind == "f")
        if broken:
            total = sum(w.size for w in weights)
            told.append(f"{broken:,} of the {total:,} weights of the layer {layer.name!r}")
    if told:
        return (
            f"Keras itself answers NaN in the output {output!r}: {', '.join(told)} are not finite. "
            "Export the model as it was before its training diverged."
        )
    return (
        f"Keras itself answers NaN in the output {output!r} to random inputs: the model computes "
        "what is not defined for them, such as a logarithm or a division. Give inputs of its own "
        "kind to compare on: --sample FILE.npz"
    )


def explain_difference(
    model: keras.Model,
    signatures: Sequence[Signature],
    inputs: Mapping[str, Arrays],
    expected: Mapping[str, Arrays],
) -> str | None:
    """Returns why no file can compute what Keras answers; None where Keras shows no reason.

    Args:
        model: The model.
        signatures: Its signatures.
        inputs: Inputs of each signature.
        expected: Keras's answers to them.
    """
    with float32():
        for signature in signatures:
            arrays, answers = inputs[signature.name], expected[signature.name]
            (again,) = parity.answer(signature, arrays)
            if not _agree(again, answers):
                return (
                    f"The model {model.name!r} gives another answer when it is asked the "
                    "same again: it draws random numbers in inference. Draw them only where "
                    "training is True, or make them an input of the model."
                )
            if not isinstance(signature.inputs[0].shape[0], str):
                continue
            for row in range(min(ROWS, len(next(iter(arrays.values()))))):
                part = {name: array[row : row + 1] for name, array in arrays.items()}
                (alone,) = parity.answer(signature, part)
                if not _agree(alone, {name: a[row : row + 1] for name, a in answers.items()}):
                    return (
                        f"In the model {model.name!r} the rows of a batch depend on each "
                        "other: a row alone gets another answer in Keras, too. A TFLite file takes "
                        "a fixed number of rows at once: export it for as many as you will give, "
                        "--batch 16, or leave their number open, --dynamic-batch."
                    )
    return None


def _agree(first: Arrays, second: Arrays) -> bool:
    return all(
        array.shape == second[name].shape
        and np.allclose(
            array, second[name], rtol=parity.TOLERANCE, atol=parity.TOLERANCE, equal_nan=True
        )
        for name, array in first.items()
    )
