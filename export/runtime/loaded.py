"""A bundle opened for use: its signatures as methods, on arrays of any batch size and length."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from export import bundle, formats
from export.formats.interrupt import Interrupt
from export.manifest import read_specs
from export.runtime.inputs import (
    check_values,
    encode_texts,
    fill_defaults,
    name_dimension,
    name_inputs,
    require_inputs,
    to_array,
)
from export.runtime.stream import STREAM, Stream
from keras_seq.checking import check_arguments, describe_unknown
from keras_seq.errors import UserError, describe, quote_error, require_positive, speak
from keras_seq.signature import UNREAD, SignatureSpec, TensorSpec
from keras_seq.text.utf8 import list_texts, to_bytes, unpack_array
from keras_seq.typing import Arrays

MAX_TOKENIZER_BYTES = 1 << 28

# What a user can do about an input that is larger than the file's dimension.
REMEDIES = {
    "L": "export with a larger --max-bytes",
    "R": "export with a larger --max-new-tokens",
    "E": "give fewer texts",
    "W": "give shorter texts",
}


class UntrustedError(UserError):
    """A bundle has a program inside, and nobody has said that its maker is trusted."""


@check_arguments
def load(
    path: str | Path,
    format: str | None = None,
    threads: int | None = None,
    precision: str = "float32",
    device: str | None = None,
    trust: bool = False,
) -> "LoadedBundle":
    """Opens a bundle.

    TFLite and ONNX need neither TensorFlow nor Keras. Files that differ from what was exported are
    refused. A file of theirs computes and does nothing else; the graph of a SavedModel may also
    write files, so that one from elsewhere is opened only with `trust`.

    Args:
        path: Folder of the bundle.
        format: "tflite", "onnx" or "saved_model"; by default the first of these that the bundle
            has and whose runtime is installed; for a device other than the CPU "onnx" comes first.
        threads: Threads of the runtime; its own default if None.
        precision: Precision of the weights, where the bundle has a format in several.
        device: Where to run: "cpu", or with ONNX the name of an execution provider of the installed
            onnxruntime, such as "cuda" or "cuda:1"; with a SavedModel a device of TensorFlow's.
        trust: Run the graph of a SavedModel that this process has not exported itself.

    Raises:
        UserError: If the bundle is damaged or lacks the format, the runtime is not installed, or
            the format is a SavedModel of a stranger.
    """
    if threads is not None:
        require_positive(threads=threads)
    if format is not None and format not in formats.NAMES:
        raise UserError(f"The formats are {', '.join(formats.NAMES)}. Received: {format!r}")
    path = Path(path)
    manifest = bundle.read_manifest(path)
    available = [name for name in formats.NAMES if bundle.find_variant(manifest, name, precision)]
    if format is None:
        installed = [name for name in available if formats.is_installed(name)]
        if device not in (None, "cpu"):
            installed.sort(key=lambda name: name != "onnx")
        if available and not installed:
            commands = " or ".join(formats.install_command(name) for name in available)
            raise UserError(
                f"No runtime for {path} ({', '.join(available)}) is installed: {commands}"
            )
        format = installed[0] if installed else ""
    variant = bundle.require_variant(path, manifest, format, precision)
    module = formats.module(format)
    if not formats.is_installed(format):
        raise UserError(f"The runtime for {format} is missing: {formats.install_command(format)}")
    if module.RUNS_CODE and not (trust or bundle.is_own(manifest)):
        raise UntrustedError(
            f"{path}: a SavedModel is a program, which can write files on your computer. "
            f"{_advise_untrusted(available)}If you know who made the bundle, run it: --trust"
        )
    bundle.verify(path, manifest, variant["files"])
    return open_variant(path, manifest, variant, threads, device)


def open_variant(
    path: Path,
    manifest: dict[str, Any],
    variant: dict[str, Any],
    threads: int | None,
    device: str | None = None,
    folder: Path | None = None,
) -> "LoadedBundle":
    """Opens files of a bundle that the caller has verified.

    Args:
        path: Folder of the bundle.
        manifest: Its manifest.
        variant: Which of its variants.
        threads: Threads of the runtime; its own default if None.
        device: Where to run; see `load`.
        folder: Where the files are; in the bundle if None.

    Raises:
        UserError: If the runtime cannot open them.
    """
    format, files = variant["format"], variant["files"]
    with _explain_failures(path, format):
        runner = formats.module(format).Runner(
            folder or path, threads, variant["precision"], device, files
        )
    return LoadedBundle(path, manifest, variant, runner)


def _advise_untrusted(available: Sequence[str]) -> str:
    others = [name for name in available if not formats.module(name).RUNS_CODE]
    return f"The bundle's {' and '.join(others)} can do nothing but compute. " if others else ""


@contextlib.contextmanager
def _explain_failures(path: Path, format: str) -> Iterator[None]:
    """Inside the block a runtime's refusal of a file becomes one sentence."""
    try:
        yield
    except (UserError, OSError, MemoryError, ImportError):
        raise
    except Exception as error:
        raise UserError(
            f"{path}: the {format} runtime cannot open the file: {quote_error(error)}. Export the "
            "bundle again."
        ) from error


class UnknownSignatureError(UserError, AttributeError):
    """A bundle was asked for a signature that it does not have."""


class LoadedBundle:
    """The signatures of a bundle in one runtime, as methods that take and return NumPy arrays.

        loaded = export.load("bundle", "tflite")
        loaded.classify(token_ids)["probabilities"]                # (B, C)
        loaded.classify_text(["A wonderful film."])["probabilities"]

    Inputs may have any batch size and any length up to the model's: where the file's shapes are
    fixed, they are padded and run in several calls.

    Attributes:
        path: Folder of the bundle.
        manifest: Its manifest.
        format: Name of the format that runs.
        precision: Precision of its weights.
        signatures: `SignatureSpec` by name.
        labels: Names of the classes; empty unless it is a classifier.
    """

    def __init__(
        self, path: Path, manifest: dict[str, Any], variant: dict[str, Any], runner: Any
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.format: str = variant["format"]
        self.precision: str = variant["precision"]
        self.signatures = read_specs(manifest, self.format)
        self.labels: list[str] = manifest["labels"]
        dimensions = manifest["dimensions"]
        self._limits = {letter: manifest["limits"][word] for letter, word in dimensions.items()}
        self._sizes: dict[str, int] = variant["sizes"]
        self._runner = runner
        self._opened: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("signatures", {}):
            return partial(self.run, name)
        signatures = list(self.__dict__.get("signatures", {}))
        raise UnknownSignatureError(describe_unknown(name, signatures or ["run"], "signature"))

    @property
    def limits(self) -> dict[str, int]:
        """The largest size of each dimension, by its letter."""
        return dict(self._limits)

    def __repr__(self) -> str:
        signatures = ", ".join(self.signatures)
        return f"LoadedBundle({str(self.path)!r}, {self.format} {self.precision}: {signatures})"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.signatures]

    def run(
        self,
        signature: str,
        /,
        *values: Any,
        seed: int | None = None,
        **inputs: Any,
    ) -> Arrays:
        """Runs a signature.

        Args:
            signature: Its name.
            *values: Inputs without their names, in the order of the signature: texts, ids, a sound.
            seed: Seed of random inputs that are left out: the same seed gives the same answer. It
                is the input of that name where the signature has one.
            **inputs: Arrays, or what NumPy makes arrays of, by the names of the inputs; for a text
                a list of strings. A text that is too long is cut, with a warning: a prompt loses
                its beginning, any other text its end. Inputs with a default may be left out.

        Returns:
            Arrays by the names of the outputs.

        Raises:
            UserError: If a name, dtype or shape is not the signature's, or a value is outside its
                range.
        """
        spec = self._spec(signature)
        arrays, unread = self.prepare(signature, *values, seed=seed, **inputs)
        outputs = self.run_prepared(signature, arrays)
        if unread is None:  # A caller who gives bytes reads `unread`.
            return outputs
        if spec.counts_unread:
            unread = unread + outputs[UNREAD.name]
            outputs[UNREAD.name] = unread
        if unread.any():
            warnings.warn(speak(self._describe_unread(spec, unread)), stacklevel=2)
        return outputs

    def prepare(
        self,
        signature: str,
        /,
        *values: Any,
        seed: int | None = None,
        **inputs: Any,
    ) -> tuple[Arrays, np.ndarray | None]:
        """Returns the inputs of `run` as arrays, checked and with defaults, and `unread`.

        `unread` is the number of bytes that were cut off each row's texts, None where no strings
        were given.

        Raises:
            UserError: As `run`.
        """
        spec = self._spec(signature)
        if seed is not None and "seed" in (tensor.name for tensor in spec.inputs):
            inputs, seed = {**inputs, "seed": seed}, None
        inputs = name_inputs(spec, values, inputs)
        require_inputs(spec, inputs)
        inputs, unread = encode_texts(spec, inputs, self._limits)
        inputs = fill_defaults(spec, inputs, self._limits, seed)
        arrays = {tensor.name: to_array(tensor, inputs[tensor.name]) for tensor in spec.inputs}
        check_values(spec, arrays, self._measure(spec, arrays))
        return arrays, unread

    def run_prepared(
        self, signature: str, arrays: Arrays, interrupt: Interrupt | None = None
    ) -> Arrays:
        """Runs a signature on the arrays that `prepare` returned.

        Args:
            signature: Its name.
            arrays: Its inputs.
            interrupt: Ends the call from another thread, where the runtime can: ONNX.

        Raises:
            UserError: If the runtime refuses them.
        """
        spec = self._spec(signature)
        dimensions = self._measure(spec, arrays)
        rows = dimensions.get("B", 1)
        if rows == 0:
            return {t.name: np.zeros(_bind_shape(t, dimensions), t.dtype) for t in spec.outputs}
        self._open(signature)
        batch = self._sizes.get("B", rows)
        parts = []
        for start in range(0, rows, batch):
            part = {t.name: self._slice(t, arrays[t.name], start, batch) for t in spec.inputs}
            try:
                parts.append(self._runner(signature, part, interrupt))
            except Exception as error:
                said = quote_error(error)
                raise UserError(
                    f"{signature}: the {self.format} runtime refuses these inputs: {said}"
                ) from error
        for tensor in spec.outputs:
            array = parts[0].get(tensor.name)
            declared = [size if isinstance(size, int) else None for size in tensor.shape]
            if (
                array is None
                or array.ndim != len(declared)
                or any(
                    size not in (None, received)
                    for size, received in zip(declared, array.shape, strict=True)
                )
            ):
                raise self._refuse_contract("output", tensor.name, signature)
        return {t.name: _join(t, [p[t.name] for p in parts], dimensions) for t in spec.outputs}

    def open_all(self) -> None:
        """Opens every signature now, so that later calls read no file."""
        for signature in self.signatures:
            self._open(signature)
        if self.manifest["tokenizer"]:
            self._tokenizer_json  # noqa: B018 - read and kept

    def _open(self, signature: str) -> None:
        """Opens a signature, once, and compares it with what the manifest says of it."""
        if signature in self._opened:
            return
        with _explain_failures(self.path, self.format):
            inputs, outputs = self._runner.open(signature)
        spec = self.signatures[signature]
        named = {tensor.name for tensor in spec.inputs}
        unknown = set(inputs) - named  # A file lacks the inputs that its model does not use.
        # Before any of that size is allocated.
        for tensor in spec.inputs:
            shape = zip(tensor.bind(self._sizes).shape, inputs.get(tensor.name, ()), strict=False)
            if any(isinstance(said, int) and size not in (None, said) for said, size in shape):
                raise self._refuse_contract("input", tensor.name, signature)
        renamed = {tensor.name: (tensor.name, f"{tensor.name}_out") for tensor in spec.outputs}
        lost = [name for name, names in renamed.items() if not set(names) & set(outputs)]
        if unknown or lost:
            kind, name = ("input", min(unknown)) if unknown else ("output", lost[0])
            raise self._refuse_contract(kind, name, signature)
        self._opened.add(signature)

    def _refuse_contract(self, kind: str, name: str, signature: str) -> UserError:
        return UserError(
            f"{self.path}: the manifest and the {self.format} file differ in the {kind} "
            f"{ascii(name)[:80]} of {signature}. Export the bundle again."
        )

    def open_stream(self) -> Stream:
        """Returns a stream of steps through the signature `stream`, its state kept between calls.

        Raises:
            UserError: If the bundle has no such signature.
        """
        if STREAM not in self.signatures:
            raise UserError(f"{self.path} has no signature `{STREAM}`. Export with --stream.")
        return Stream(self)

    def tokenize(self, texts: Sequence[str]) -> np.ndarray:
        """Returns token ids `(len(texts), T)` int32, cut to the model's length and padded with 0.

        Raises:
            UserError: If the bundle has no tokenizer, or a text is not Unicode.
        """
        if not self.manifest["tokenizer"]:
            raise UserError(f"{self.path} has no tokenizer: its model does not take token ids.")
        try:
            clean = [to_bytes(text).decode() for text in list_texts(texts, "tokenize")]
        except UnicodeDecodeError as error:
            raise UserError(
                f"tokenize takes Unicode only. Received: {error.object[:40]!r}. A signature on "
                "texts, such as classify_text, takes any bytes."
            ) from error
        length = self._sizes.get("T", self._limits.get("T"))
        rows = [encoding.ids[:length] for encoding in self._tokenizer.encode_batch(clean)]
        token_ids = np.zeros((len(rows), max((len(row) for row in rows), default=0) or 1), "int32")
        for i, row in enumerate(rows):
            token_ids[i, : len(row)] = row
        return token_ids

    @check_arguments
    def read_texts(self, outputs: Arrays, name: str = "text") -> list[Any]:
        """Returns the texts of a call's outputs: one for each row, or a list of them.

        Args:
            outputs: What a signature that writes texts returned, such as `generate_text`.
            name: Name of the output, uint8 `(B, …, M)`.
        """
        length = next((key for key in (f"{name}_length", "length") if key in outputs), None)
        if name not in outputs or length is None:
            raise UserError(
                f"read_texts reads what a call returned, with {name!r} and its lengths. Received: "
                f"{describe(outputs)}"
            )
        texts, lengths = outputs[name], outputs[length]
        decode = np.frompyfunc(lambda text: text.decode("utf-8", "replace"), 1, 1)
        return decode(unpack_array(texts, lengths)).tolist()

    @check_arguments
    def count_tokens(self, text: str) -> int:
        """Returns the number of tokens of a text."""
        return len(self._tokenizer.encode(text).ids)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_str(self._tokenizer_json.decode("utf-8"))
        except BaseException as error:  # What Rust raises when it gives up is no Exception.
            if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
                raise
            raise UserError(
                f"{self.path / bundle.TOKENIZER} is no tokenizer that can be read: "
                f"{quote_error(error)}. Export the bundle again."
            ) from error

    @cached_property
    def _tokenizer_json(self) -> bytes:
        return bundle.read_verified(self.path, self.manifest, bundle.TOKENIZER, MAX_TOKENIZER_BYTES)

    def _spec(self, signature: str) -> SignatureSpec:
        if signature not in self.signatures:
            raise UserError(
                f"There is no signature {signature!r} in {self.path}. It has: "
                f"{', '.join(self.signatures)}"
            )
        return self.signatures[signature]

    def _describe_unread(self, spec: SignatureSpec, unread: np.ndarray) -> str:
        limits = {**self._limits, **self._sizes}
        side = "beginning" if "left" in {t.truncation_side for t in spec.inputs} else "end"
        sizes = (t.shape[1] for t in spec.inputs if t.name in spec.texts)
        most = " or ".join(dict.fromkeys(f"{limits.get(size, 0):,} bytes" for size in sizes))
        if spec.counts_unread and "T" in limits:
            most = f"{limits['T']:,} tokens and {most}"
        return (
            f"{spec.name}: {np.count_nonzero(unread)} of {len(unread)} texts are too long: their "
            f"{side} was not read, up to {unread.max():,} bytes. The file reads at most {most} of "
            "a text: shorten it, or export with a larger --max-length or --max-bytes."
        )

    def _measure(self, spec: SignatureSpec, arrays: Arrays) -> dict[str, int]:
        """Returns the caller's sizes, checked against each other and the model's limits."""
        sizes: dict[str, int] = {}
        for tensor in spec.inputs:
            for size, received in zip(tensor.shape, arrays[tensor.name].shape, strict=True):
                expected = sizes.setdefault(size, received) if isinstance(size, str) else size
                if received != expected:
                    raise UserError(
                        f"{spec.name}: {tensor.name} has the shape {list(tensor.shape)}. Received: "
                        f"{list(arrays[tensor.name].shape)}"
                    )
        empty = [size for size, n in sizes.items() if not n and size != "B"]
        if any(size not in self._limits for size in empty):  # A runtime may end the process.
            raise UserError(
                f"{spec.name}: {name_dimension(empty[0])} is 1 or more. Received: 0, no steps"
            )
        for size, limit in self._limits.items():
            limit = min(limit, self._sizes.get(size, limit))
            if sizes.get(size, 0) > limit:
                remedy = REMEDIES.get(
                    size.split("_")[0], "train and export with a larger --max-length"
                )
                raise UserError(
                    f"{spec.name}: {name_dimension(size)} is at most {limit}. Received: "
                    f"{sizes[size]}. Cut the input, or {remedy}."
                )
        for size, fixed in self._sizes.items():
            padded = size == "B" or size in self._limits
            if not padded and sizes.get(size, fixed) != fixed:
                raise UserError(
                    f"{spec.name}: {size} is {fixed} in the {self.format} file, whose shapes are "
                    f"fixed. Received: {sizes[size]}. Give {fixed}, or export with --max-length "
                    f"{sizes[size]} or --dynamic-length."
                )
        return sizes

    def _slice(self, tensor: TensorSpec, array: np.ndarray, start: int, batch: int) -> np.ndarray:
        """Returns rows from `start`, padded with zeros to the sizes that the file has fixed."""
        if "B" in tensor.shape:
            array = array[start : start + batch]
        padding = []
        for size, received in zip(tensor.shape, array.shape, strict=True):
            # Runtimes fail on a width of 0.
            least = 1 if size in self._limits and tensor.dtype != "string" else received
            wanted = self._sizes.get(size, max(received, least)) if isinstance(size, str) else size
            padding.append((0, wanted - received))
        return np.pad(array, padding) if any(after for _, after in padding) else array


def _bind_shape(tensor: TensorSpec, dimensions: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(
        dimensions.get(size, 0) if isinstance(size, str) else size for size in tensor.shape
    )


def _join(tensor: TensorSpec, parts: list[np.ndarray], dimensions: Mapping[str, int]) -> np.ndarray:
    """Joins the parts of an output and cuts off what padding added."""
    if "B" not in tensor.shape:
        array = parts[0]
    else:
        # A size that depends on the rows of a call is the largest of all calls.
        widest = np.max([part.shape[1:] for part in parts], axis=0, initial=0)
        more = [np.subtract(widest, part.shape[1:]).astype(int) for part in parts]
        parts = [
            np.pad(part, [(0, 0), *((0, n) for n in after)]) if after.any() else part
            for part, after in zip(parts, more, strict=True)
        ]
        array = np.concatenate(parts)
    return array[tuple(slice(dimensions.get(size)) for size in tensor.shape)]
