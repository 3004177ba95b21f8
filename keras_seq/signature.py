"""A named pure function with its inputs and outputs: the contract between training and deployment.

Models hand these to the exporter; formats, runtimes, parity and serving know nothing else of a
model. Plain data, no heavy import: a device that only runs a bundle reads the same classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from keras_seq.typing import Arrays


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of an input or output.

    Attributes:
        name: Of the tensor.
        dtype: As NumPy spells it: "int32", "float32", "uint8"; or "string".
        shape: A size, or the name of a dimension that the caller chooses ("B", "T").
        minimum: Of an input, the least value; None for any.
        maximum: The largest, or the name of the dimension whose size it is.
        default: Of an input that may be left out: a number, the name of a dimension whose size it
            is, or "random" for numbers in [0, 1) that the caller draws.
        truncation_side: Side on which a text input that is too long is cut: "left" keeps its end;
            None, which is "right", keeps its beginning.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    minimum: float | None = None
    maximum: float | str | None = None
    default: float | str | None = None
    truncation_side: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TensorSpec":
        return cls(**{**value, "shape": tuple(value["shape"])})

    def bind(self, sizes: Mapping[str, int]) -> "TensorSpec":
        """The same tensor with the dimensions named in `sizes` fixed."""
        shape = tuple(sizes.get(size, size) for size in self.shape)
        return replace(self, shape=shape)


def text_lengths(tensors: Sequence[TensorSpec]) -> dict[str, str]:
    """Of inputs or outputs those that are texts, uint8, and what counts their bytes.

    The count of NAME is NAME_length, that of `text` just `length`.
    """
    names = {tensor.name for tensor in tensors}
    found = {}
    for tensor in tensors:
        length = f"{tensor.name}_length"
        if tensor.name == "text" and length not in names:
            length = "length"
        if tensor.dtype == "uint8" and length in names:
            found[tensor.name] = length
    return found


UNREAD = TensorSpec("unread", "int32", ("B",))


@dataclass(frozen=True)
class SignatureSpec:
    """What a signature looks like from outside, as the manifest of a bundle has it."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def counts_unread(self) -> bool:
        """Whether an output `unread`, int32 `[B]`, counts the bytes of a text that were not read,
        as there were too many tokens.
        """
        return any(tensor.name == UNREAD.name for tensor in self.outputs)

    @property
    def texts(self) -> dict[str, str]:
        """The inputs that are texts and the inputs that count their bytes; see `text_lengths`."""
        return text_lengths(self.inputs)

    def select_inputs(self, outputs: Arrays) -> Arrays:
        """Of the outputs of an earlier call, those that this signature takes: a state, a token."""
        names = (tensor.name for tensor in self.inputs)
        return {name: outputs[name] for name in names if name in outputs}

    def bind(self, sizes: Mapping[str, int]) -> Any:
        """The same signature with the dimensions named in `sizes` fixed."""
        return replace(
            self,
            inputs=tuple(tensor.bind(sizes) for tensor in self.inputs),
            outputs=tuple(tensor.bind(sizes) for tensor in self.outputs),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
        }

    @classmethod
    def from_json(cls, name: str, value: Mapping[str, Any]) -> "SignatureSpec":
        def tensors(items: Sequence[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
            return tuple(map(TensorSpec.from_json, items))

        return cls(name, tensors(value["inputs"]), tensors(value["outputs"]))


@dataclass(frozen=True)
class Signature(SignatureSpec):
    """A signature with the function itself.

    Attributes:
        function: Takes the inputs by name, as tensors of the Keras backend; returns a dict of
            outputs by name. Pure: the same inputs always give the same outputs.
        margins: Of a signature that chooses by numbers the caller draws: takes inputs and outputs
            of a call, NumPy arrays, and returns `(B, N)` float64, for each value of the first
            output how little a probability had to change for another choice. None where nothing is
            drawn: then integers are the same in every runtime.
    """

    function: Callable[..., dict[str, Any]]
    margins: Callable[[Arrays, Arrays], Any] | None = None

    @property
    def spec(self) -> SignatureSpec:
        return SignatureSpec(self.name, self.inputs, self.outputs)


class Exportable(Protocol):
    """What the exporter asks of a model.

    Attributes:
        task: "classify" and so on.
        labels: Names of the classes; empty for other tasks.
        tokenizer: With `to_json()`, the Hugging Face `tokenizer.json`; None if the model has none.
    """

    task: str
    labels: Sequence[str]
    tokenizer: Any

    def limits(self, sizes: Mapping[str, int]) -> Mapping[str, int]:
        """The largest size of each named dimension that has one, such as {"T": 256, "L": 2048}, L
        being the bytes of a text, with the sizes that the user asked for: "T", the tokens read of a
        text, and "N", those generated.

        A shorter input may be padded with zeros up to it; a dimension that is not named here must
        not be padded.

        Raises:
            UserError: If the model cannot have these sizes.
        """

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """The functions to export, with the sizes that the user asked for, as for `limits`."""

    def signature_inputs(
        self, texts: Sequence[str], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """For each signature, NumPy arrays by name made from `texts`, cut to `sizes`.

        An array has a row for each call of one row; so has that of an input without dimensions.
        """

    def random_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """For each signature, `count` rows of valid random inputs, open dimensions by `sizes`."""

    def describe(self) -> dict[str, Any]:
        """What the manifest says of the model: backbone and sizes."""
