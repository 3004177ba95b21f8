"""What Keras answers to the inputs that every format of a bundle is compared on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export import diagnosis, parity
from export.keras_layers import float32
from export.keras_layers.failures import describe_error
from export.keras_model import KerasModel
from export.runtime import LoadedBundle
from keras_seq.errors import UserError
from keras_seq.signature import Signature
from keras_seq.typing import Arrays

NOT_KEPT = "No bundle was kept. Please report this with the model's configuration."
# A model that takes any number of steps is also compared on these: a loop that does several steps
# a turn does others on their own.
OTHER_LENGTHS = (1, 6)
OTHER_ROWS = 2


@dataclass(frozen=True)
class Answers:
    """Inputs of each signature, and what Keras answers to them."""

    inputs: Mapping[str, Arrays]
    outputs: Mapping[str, Arrays]


class Reference:
    """Keras's answers to random inputs, and to the user's where there are any.

    Args:
        model: The model, an `Exportable`.
        signatures: Signatures to compare.
        rows: Number of random rows.
        sizes: A size for every dimension that the signatures leave open.
        open_sizes: Dimensions that files leave open.
        texts: Texts of the user.
        sample: Inputs of the user, for a `KerasModel`.

    Attributes:
        random: Random inputs and their answers, which a bundle carries.

    Raises:
        UserError: If Keras itself answers NaN.
    """

    def __init__(
        self,
        model: Any,
        signatures: Sequence[Signature],
        rows: int,
        sizes: Mapping[str, int],
        open_sizes: Collection[str],
        texts: Sequence[str],
        sample: Any,
    ) -> None:
        self._model, self._signatures = model, signatures
        with float32():
            given = None
            if texts:
                given = model.signature_inputs(texts, sizes)
            elif sample:
                given = model.sample_inputs(sample, sizes)
            if isinstance(model, KerasModel):
                open_lengths = [size for size in open_sizes if size.startswith("T")]
                sizes = _fit_lengths(model, signatures, sizes, open_lengths)
                self.random, self._given = self._ask_stranger(model, rows, sizes, given)
                self._others = self._ask_other_lengths(model, sizes, open_lengths)
            else:
                random = model.random_inputs(rows, 0, sizes)
                self.random, self._given = _ask(signatures, random, given)
                self._others = []

    def _ask_stranger(
        self, model: KerasModel, rows: int, sizes: Mapping[str, int], given: Any
    ) -> tuple[Answers, Answers | None]:
        """Returns the answers of a model that may not take any number: then those from 0 to 1."""
        shares = {tensor.name: (0.0, 1.0) for tensor in model.inputs}
        for ranges in (None,) if model.sample else (None, shares):
            random = model.random_inputs(rows, 0, sizes, ranges)
            answers = _ask(self._signatures, random, given)
            output = diagnosis.find_nan([a.outputs for a in answers if a is not None])
            if output is None:
                diagnosis.require_rows(self._signatures, answers[0].inputs, answers[0].outputs)
                return answers
        raise UserError(diagnosis.explain_nan(model.model, output))

    def _ask_other_lengths(
        self, model: KerasModel, sizes: Mapping[str, int], open_lengths: Collection[str]
    ) -> list[Answers]:
        answers = []
        for length in OTHER_LENGTHS if open_lengths else ():
            shorter = {**sizes, **dict.fromkeys(open_lengths, length)}
            inputs = model.random_inputs(_few_rows(self._signatures), 1, shorter)
            try:
                answers.append(_ask(self._signatures[:1], inputs, None)[0])
            except Exception:  # Keras does not take this length either.
                continue
        return answers

    def prove(self, loaded: LoadedBundle) -> dict[str, dict[str, Any]]:
        """Compares a format with Keras; returns the figures by signature, see `parity.Parity`.

        Raises:
            UserError: If they differ; it says why, where the model itself is the reason.
        """
        shown = self._given or self.random
        try:
            if shown is not self.random:  # `check` compares on these: they must agree, too.
                self._compare(loaded, self.random, timed=False)
            figures = self._compare(loaded, shown)
            for answers in self._others:
                self._compare(loaded, answers, timed=False)
        except parity.DifferenceError as error:
            reason = self._find_reason()
            if reason is None:
                raise
            raise UserError(reason) from error
        return figures

    def _compare(
        self, loaded: LoadedBundle, answers: Answers, timed: bool = True
    ) -> dict[str, dict[str, Any]]:
        specs = [s.spec for s in self._signatures if s.name in answers.outputs]
        return parity.prove(loaded, specs, answers.inputs, answers.outputs, NOT_KEPT, timed)

    def _find_reason(self) -> str | None:
        if not isinstance(self._model, KerasModel):
            return None
        answers = self.random
        return diagnosis.explain_difference(
            self._model.model, self._signatures, answers.inputs, answers.outputs
        )


def _few_rows(signatures: Sequence[Signature]) -> int:
    """Returns `OTHER_ROWS`, or the rows of a call where the model has fixed them."""
    rows = signatures[0].inputs[0].shape[0]
    return rows if isinstance(rows, int) else OTHER_ROWS


def _fit_lengths(
    model: KerasModel,
    signatures: Sequence[Signature],
    sizes: Mapping[str, int],
    open_lengths: Sequence[str],
) -> Mapping[str, int]:
    """Returns the sizes, with the longest open lengths that Keras answers, each half of another.

    A model may take any length and be able to read few, such as one with a table of positions.

    Raises:
        UserError: If Keras answers none.
    """
    errors = []
    longest = max((sizes[size] for size in open_lengths), default=1)
    lengths = [longest >> i for i in range(longest.bit_length())] if open_lengths else [0]
    for length in lengths:
        tried = {**sizes, **dict.fromkeys(open_lengths, length)}
        try:
            _ask(signatures[:1], model.random_inputs(_few_rows(signatures), 0, tried), None)
            return tried
        except UserError:
            raise
        except Exception as error:
            errors.append(error)
    raise UserError(
        f"Keras itself does not answer random inputs of the model {model.model.name!r}: "
        f"{describe_error(errors[0])} Give inputs of its own kind to compare on: --sample FILE.npz"
    ) from errors[0]


def _ask(
    signatures: Sequence[Signature], random: Mapping[str, Arrays], given: Any
) -> tuple[Answers, Answers | None]:
    """Returns Keras's answers to random inputs, and to the user's where there are any."""
    random = {signature.name: random[signature.name] for signature in signatures}
    groups = [random] if given is None else [random, given]
    both = {s.name: parity.answer(s, *(arrays[s.name] for arrays in groups)) for s in signatures}
    answers = [
        Answers(inputs, {name: found[i] for name, found in both.items()})
        for i, inputs in enumerate(groups)
    ]
    return answers[0], answers[1] if given is not None else None
