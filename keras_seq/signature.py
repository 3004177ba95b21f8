"""A named pure function with its inputs and outputs: the contract between training and deployment.

Models hand signatures to the exporter; formats, runtimes, parity and serving know nothing else of a
model. This module is plain data and imports nothing heavy: a device that only runs a bundle reads
the same classes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from keras_seq.typing import Arrays

# The public name of each dimension that the shapes of signatures spell with a letter. "B", the
# batch, has no limit.
DIMENSIONS = {
    "T": "max_length",  # tokens or steps read
    "N": "max_new_tokens",
    "L": "max_bytes",  # bytes of a text
    "K": "num_beams",
    "S": "max_source_length",  # positions of an encoder: the tokens of a source and its end
    "R": "max_translation_bytes",
    "E": "max_stops",
    "W": "max_stop_bytes",
}


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of an input or output.

    Attributes:
        name: Name of the tensor.
        dtype: NumPy's name of the dtype ("int32", "float32", "uint8"), or "string".
        shape: Sizes; the name of a dimension ("B", "T") stands for a size that the caller chooses.
        minimum: Smallest value of an input; None for no bound.
        maximum: Largest value of an input, or the name of the dimension whose size it is.
        default: Value of an input that may be left out: a number, which all values of an array
            are, the name of a dimension whose size it is, "random" for random numbers in [0, 1), or
            "" for empty strings.
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

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} [{', '.join(map(str, self.shape))}]"

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TensorSpec":
        return cls(**{**value, "shape": tuple(value["shape"])})

    def bind(self, sizes: Mapping[str, int]) -> "TensorSpec":
        """Returns the same tensor with the dimensions named in `sizes` fixed."""
        shape = tuple(sizes.get(size, size) for size in self.shape)
        return replace(self, shape=shape)


def text_lengths(tensors: Sequence[TensorSpec]) -> dict[str, str]:
    """Maps each text, a uint8 tensor, to the tensor that holds its length in bytes.

    The length of NAME is NAME_length; that of `text` is `length`.
    """
    names = {tensor.name for tensor in tensors}
    lengths = {}
    for tensor in tensors:
        length = f"{tensor.name}_length"
        if tensor.name == "text" and length not in names:
            length = "length"
        if tensor.dtype == "uint8" and length in names:
            lengths[tensor.name] = length
    return lengths


UNREAD = TensorSpec("unread", "int32", ("B",))


@dataclass(frozen=True, repr=False)
class SignatureSpec:
    """The name, inputs and outputs of a signature, as the manifest of a bundle has them."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(map(str, t)) for t in (self.inputs, self.outputs))
        return f"{self.name}({inputs}) -> {outputs}"

    @property
    def counts_unread(self) -> bool:
        """Whether the output `unread`, int32 `[B]`, counts the bytes of a text beyond the tokens
        that the model reads.
        """
        return any(tensor.name == UNREAD.name for tensor in self.outputs)

    @property
    def texts(self) -> dict[str, str]:
        """Maps each input that is a text to the input that holds its length; see `text_lengths`."""
        return text_lengths(self.inputs)

    def select_inputs(self, outputs: Arrays) -> Arrays:
        """Returns the outputs of an earlier call that this signature takes: a state, a token."""
        names = (tensor.name for tensor in self.inputs)
        return {name: outputs[name] for name in names if name in outputs}

    def bind(self, sizes: Mapping[str, int]) -> Any:
        """Returns the same signature with the dimensions named in `sizes` fixed."""
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


@dataclass(frozen=True, repr=False)
class Signature(SignatureSpec):
    """A signature together with its function.

    Attributes:
        function: Takes the inputs by name, as tensors of the Keras backend; returns a dict of
            outputs by name. It is pure: the same inputs always give the same outputs.
        margins: For a signature that samples with the caller's random numbers: takes the inputs and
            outputs of a call, NumPy arrays, and returns `(B, N)` float64: for each value of the
            first output, the smallest change of a probability that would have changed it. None
            where nothing is sampled: then integers are the same in every runtime.
        traced: The TensorFlow graph that `function` calls, where it is traced already.
    """

    function: Callable[..., dict[str, Any]]
    margins: Callable[[Arrays, Arrays], Any] | None = None
    traced: Callable[..., dict[str, Any]] | None = None

    @property
    def spec(self) -> SignatureSpec:
        return SignatureSpec(self.name, self.inputs, self.outputs)


@dataclass(frozen=True)
class Entry:
    """The signatures that servers and apps call first.

    Attributes:
        signature: Name of the main one: what the bundle's own name stands for.
        interactive: Names of those that an app calls which shows results as they come, first call
            first; the main one alone by default.
        defaults: Values by input name that a user interface starts with.
    """

    signature: str
    interactive: tuple[str, ...] = ()
    defaults: Mapping[str, float] = field(default_factory=dict)

    def restrict(self, names: Collection[str]) -> "Entry":
        """Returns the entry of a bundle that has only the signatures `names`, which isn't empty."""
        main = self.signature if self.signature in names else next(iter(names))
        interactive = tuple(name for name in self.interactive if name in names)
        return replace(self, signature=main, interactive=interactive or (main,))

    def to_json(self) -> dict[str, Any]:
        return {
            "signature": self.signature,
            "interactive": list(self.interactive),
            "defaults": dict(self.defaults),
        }


class Exportable(Protocol):
    """What the exporter needs from a model.

    Attributes:
        task: Name of the task, such as "classify".
        labels: Names of the classes; empty for other tasks.
        tokenizer: Tokenizer with `to_json()`, which returns the Hugging Face `tokenizer.json`; None
            if the model has none.
        entry: The signatures that servers and apps call first.
    """

    task: str
    labels: Sequence[str]
    tokenizer: Any
    entry: Entry

    def limits(self, sizes: Mapping[str, int]) -> Mapping[str, int]:
        """Returns the largest size of each dimension that has one, such as {"T": 256, "L": 2048}.

        A shorter input may be padded with zeros up to it; a dimension that isn't named here must
        not be padded.

        Args:
            sizes: Sizes that the user requested, by letter; see `DIMENSIONS`.

        Raises:
            UserError: If the model cannot have these sizes.
        """

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns the functions to export, for sizes as in `limits`."""

    def signature_inputs(
        self, texts: Sequence[str], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """Returns NumPy arrays by name for each signature, made from `texts` and cut to `sizes`.

        An array has a row for each call of one row; an input without dimensions has one, too.
        """

    def random_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """Returns `count` rows of valid random inputs for each signature."""

    def describe(self) -> dict[str, Any]:
        """Returns what the manifest says about the model: backbone and sizes."""
