"""A named pure function with its inputs and outputs: the contract between training and deployment.

Models hand these to the exporter; formats, runtimes, parity and serving know nothing else of a
model. Plain data, no heavy import: a device that only runs a bundle reads the same classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of an input or output.

    Attributes:
        name: Of the tensor.
        dtype: As NumPy spells it: "int32", "float32", "uint8"; or "string".
        shape: A size, or the name of a dimension that the caller chooses ("B", "T").
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def bind(self, sizes: Mapping[str, int]) -> "TensorSpec":
        """The same tensor with the dimensions named in `sizes` fixed."""
        shape = tuple(sizes.get(size, size) for size in self.shape)
        return replace(self, shape=shape)


@dataclass(frozen=True)
class SignatureSpec:
    """What a signature looks like from outside, as the manifest of a bundle has it."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def texts(self) -> dict[str, str]:
        """The inputs that are texts, uint8 `[B, L]`, and the inputs that count their bytes.

        The count of NAME is NAME_length, that of `text` just `length`.
        """
        names = {tensor.name for tensor in self.inputs}
        found = {}
        for tensor in self.inputs:
            length = f"{tensor.name}_length"
            if tensor.name == "text" and length not in names:
                length = "length"
            if tensor.dtype == "uint8" and length in names:
                found[tensor.name] = length
        return found

    def bind(self, sizes: Mapping[str, int]) -> Any:
        """The same signature with the dimensions named in `sizes` fixed."""
        return replace(
            self,
            inputs=tuple(tensor.bind(sizes) for tensor in self.inputs),
            outputs=tuple(tensor.bind(sizes) for tensor in self.outputs),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [asdict(tensor) for tensor in self.inputs],
            "outputs": [asdict(tensor) for tensor in self.outputs],
        }

    @classmethod
    def from_json(cls, name: str, value: Mapping[str, Any]) -> "SignatureSpec":
        def tensors(items: Sequence[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
            return tuple(
                TensorSpec(item["name"], item["dtype"], tuple(item["shape"])) for item in items
            )

        return cls(name, tensors(value["inputs"]), tensors(value["outputs"]))


@dataclass(frozen=True)
class Signature(SignatureSpec):
    """A signature with the function itself.

    Attributes:
        function: Takes the inputs by name, as tensors of the Keras backend; returns a dict of
            outputs by name. Pure: the same inputs always give the same outputs.
    """

    function: Callable[..., dict[str, Any]]

    @property
    def spec(self) -> SignatureSpec:
        return SignatureSpec(self.name, self.inputs, self.outputs)


class Exportable(Protocol):
    """What the exporter asks of a model.

    Attributes:
        task: "classify" and so on.
        labels: Names of the classes; empty for other tasks.
        tokenizer: With `to_json()`, the Hugging Face `tokenizer.json`; None if the model has none.
        limits: The largest size of a named dimension, such as {"T": 256, "L": 2048}, L being the
            bytes of a text. A shorter input may be padded with zeros up to it; a dimension that is
            not named here must not be padded.
    """

    task: str
    labels: Sequence[str]
    tokenizer: Any
    limits: Mapping[str, int]

    def signatures(self, max_length: int | None = None) -> tuple[Signature, ...]:
        """The functions to export; those on texts read `max_length` tokens of each at most."""

    def signature_inputs(
        self, texts: Sequence[str], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """For each signature, NumPy arrays by name made from `texts`, cut to `sizes`."""

    def drawn_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """For each signature, `count` rows of valid random inputs, open dimensions by `sizes`."""

    def describe(self) -> dict[str, Any]:
        """What the manifest says of the model: backbone and sizes."""
