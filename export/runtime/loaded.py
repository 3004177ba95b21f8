"""A bundle opened for use: its signatures as methods, on arrays of any batch size and length."""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from export import bundle
from export.runtime import onnx, saved_model, tflite
from keras_seq.errors import UserError
from keras_seq.signature import UNREAD, SignatureSpec, TensorSpec
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate, truncate_left
from keras_seq.typing import Arrays
from keras_seq.uniforms import random_uniforms

# What makes place for a longer dimension.
LARGER = {
    "L": "export with a larger --max-bytes",
    "R": "export with a larger --max-new-tokens",
}

# In the order of preference where the user names no format.
RUNTIMES = {"tflite": tflite, "onnx": onnx, "saved_model": saved_model}


def load(path: str | Path, format: str | None = None, threads: int | None = None) -> "LoadedBundle":
    """Opens a bundle.

    Needs neither TensorFlow nor Keras for TFLite and ONNX. Files whose content is not what was
    exported are refused.

    Args:
        path: The bundle.
        format: "tflite", "onnx" or "saved_model"; by default the first of these that the bundle
            has and whose runtime is installed.
        threads: Threads of the runtime; its own default if None.

    Raises:
        UserError: If the bundle is damaged or lacks the format, or the runtime is not installed.
    """
    path = Path(path)
    manifest = bundle.read_manifest(path)
    available = [name for name in RUNTIMES if name in manifest["formats"]]
    if format is None:
        installed = [name for name in available if is_installed(name)]
        if not installed:
            ways = " or ".join(RUNTIMES[name].INSTALL for name in available)
            raise UserError(f"No runtime for {path} ({', '.join(available)}) is installed: {ways}")
        format = installed[0]
    if format not in available:
        raise UserError(f"{path} has the formats {', '.join(available)}. Received: {format!r}")
    if not is_installed(format):
        raise UserError(f"The runtime for {format} is missing: {RUNTIMES[format].INSTALL}")
    bundle.verify(path, manifest, f"{RUNTIMES[format].FOLDER}/")
    return LoadedBundle(path, manifest, format, RUNTIMES[format].Runner(path, threads))


def is_installed(format: str) -> bool:
    """Whether the runtime of `format` can be imported."""
    return importlib.util.find_spec(RUNTIMES[format].REQUIRES) is not None


class LoadedBundle:
    """The signatures of a bundle in one runtime, as methods that take and return NumPy arrays.

        loaded = export.load("bundle", "tflite")
        loaded.classify(token_ids=token_ids)["probabilities"]      # (B, C)
        loaded.classify_text(["A wonderful film."])["probabilities"]

    Inputs may have any batch size and any length up to the model's: where the file's shapes are
    fixed, they are padded and run in several calls.

    Attributes:
        path: The bundle.
        manifest: Its manifest.
        format: The format that is run.
        signatures: `SignatureSpec` by name.
        labels: Names of the classes; empty unless it is a classifier.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], format: str, runner: Any) -> None:
        self.path = path
        self.manifest = manifest
        self.format = format
        self.signatures = {
            name: SignatureSpec.from_json(name, value)
            for name, value in manifest["signatures"].items()
            if format in value.get("formats", [format])
        }
        self.labels: list[str] = manifest["labels"]
        self._sizes: dict[str, int] = manifest["formats"][format]["sizes"]
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("signatures", {}):
            return partial(self.run, name)
        raise AttributeError(
            f"{name!r}: the bundle has the signatures {', '.join(self.__dict__['signatures'])}"
        )

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.signatures]

    def run(
        self,
        signature: str,
        *texts: Sequence[str | bytes],
        seed: int | None = None,
        **inputs: Any,
    ) -> Arrays:
        """Runs a signature.

        Args:
            signature: Its name.
            *texts: A list of texts for each input that is one, instead of its name.
            **inputs: Arrays, or what NumPy makes arrays of, by the names of the inputs; for a text
                a list of strings. Of a text that is too long the beginning is read, of a prompt the
                end, with a warning. Inputs that have a default may be left out.
            seed: Of random numbers that are left out: the same seed gives the same answer.

        Returns:
            Arrays by the names of the outputs.

        Raises:
            UserError: If a name, dtype or shape is not the signature's, or a value outside its
                range.
        """
        spec = self._spec(signature)
        arrays, left_out = self.prepared(signature, *texts, seed=seed, **inputs)
        found = self.run_prepared(signature, arrays)
        if left_out is None:  # Whoever gives bytes reads `unread`.
            return found
        if spec.counts_unread:
            left_out = left_out + found[UNREAD.name]
            found[UNREAD.name] = left_out
        if left_out.any():
            warnings.warn(self._too_long(spec, left_out), stacklevel=2)
        return found

    def prepared(
        self,
        signature: str,
        *texts: Sequence[str | bytes],
        seed: int | None = None,
        **inputs: Any,
    ) -> tuple[Arrays, np.ndarray | None]:
        """The inputs of `run` as arrays of the signature's dtypes, checked and completed; and how
        many bytes of each row's texts were left out, None where no strings were given.

        Raises:
            UserError: As `run`.
        """
        spec = self._spec(signature)
        inputs = _named(spec, texts, inputs)
        received = ", ".join(inputs) or "nothing"  # without what is about to be completed
        inputs, left_out = _encoded(spec, inputs, self.manifest["limits"])
        inputs = self._completed(spec, inputs, seed)
        names = [tensor.name for tensor in spec.inputs]
        if sorted(inputs) != sorted(names):
            raise UserError(f"{signature} takes {', '.join(names)}. Received: {received}")
        arrays = {tensor.name: _as_array(tensor, inputs[tensor.name]) for tensor in spec.inputs}
        dimensions = self._dimensions(spec, arrays)
        for text, length in spec.texts.items():
            _check_lengths(spec.name, length, arrays[length], arrays[text].shape[1])
        for tensor in spec.inputs:
            _check_range(spec.name, tensor, arrays[tensor.name], dimensions)
        return arrays, left_out

    def run_prepared(self, signature: str, arrays: Arrays, most_rows: int | None = None) -> Arrays:
        """Runs a signature on what `prepared` gave.

        Args:
            signature: Its name.
            arrays: Its inputs.
            most_rows: Of one call of the runtime; None for all that the file takes.

        Raises:
            UserError: If the runtime refuses it.
        """
        spec = self._spec(signature)
        dimensions = self._dimensions(spec, arrays)
        rows = dimensions.get("B", 1)
        if rows == 0:
            return {t.name: np.zeros(_sized(t, dimensions), t.dtype) for t in spec.outputs}
        batch = self._sizes.get("B", min(rows, most_rows or rows))
        parts = []
        for start in range(0, rows, batch):
            part = {t.name: self._part(t, arrays[t.name], start, batch) for t in spec.inputs}
            try:
                parts.append(self._runner(signature, part))
            except Exception as error:
                raise UserError(
                    f"{signature}: the {self.format} runtime refuses these inputs: {error}"
                ) from error
        return {t.name: _join(t, [p[t.name] for p in parts], dimensions) for t in spec.outputs}

    def open_all(self) -> None:
        """Opens what would be opened at first calls: from now on no file is read."""
        for signature in self.signatures:
            self._runner.open(signature)

    def _spec(self, signature: str) -> SignatureSpec:
        if signature not in self.signatures:
            raise UserError(
                f"There is no signature {signature!r} in {self.path}. It has: "
                f"{', '.join(self.signatures)}"
            )
        return self.signatures[signature]

    def _too_long(self, spec: SignatureSpec, unread: np.ndarray) -> str:
        limits = {**self.manifest["limits"], **self._sizes}
        which = "beginning" if "left" in {t.truncation_side for t in spec.inputs} else "end"
        most = f"{limits['T']:,} tokens and " * spec.counts_unread + f"{limits['L']:,} bytes"
        return (
            f"{spec.name}: {np.count_nonzero(unread)} of {len(unread)} texts are too long: the "
            f"{which} of them was not read, up to {unread.max():,} bytes. The file reads {most} of "
            "one at most: shorten it, or export with a larger --max-length or --max-bytes."
        )

    def _completed(
        self, spec: SignatureSpec, inputs: Mapping[str, Any], seed: int | None
    ) -> dict[str, Any]:
        """The inputs, with the defaults of those that were left out."""
        found = dict(inputs)
        missing = [t for t in spec.inputs if t.default is not None and t.name not in found]
        limits = self.manifest["limits"]
        for tensor in missing:
            if tensor.default != "random":
                found[tensor.name] = limits.get(tensor.default, tensor.default)
        random = [tensor for tensor in missing if tensor.default == "random"]
        if seed is not None and not random:
            raise UserError(f"{spec.name} draws no numbers. Received: seed={seed}")
        if seed is not None and (not isinstance(seed, (int, np.integer)) or seed < 0):
            raise UserError(f"seed is a whole number, 0 or more. Received: {seed!r}")
        for tensor in random:
            rows = next((len(found[t.name]) for t in spec.inputs if "B" in t.shape), 1)
            found[tensor.name] = random_uniforms(rows, limits[tensor.shape[1]], seed)
        return found

    def _dimensions(self, spec: SignatureSpec, arrays: Arrays) -> dict[str, int]:
        """The sizes that the caller chose, checked against each other and the model's limits."""
        found: dict[str, int] = {}
        for tensor in spec.inputs:
            for size, received in zip(tensor.shape, arrays[tensor.name].shape, strict=True):
                expected = found.setdefault(size, received) if isinstance(size, str) else size
                if received != expected:
                    raise UserError(
                        f"{spec.name}: {tensor.name} has the shape {list(tensor.shape)}. Received: "
                        f"{list(arrays[tensor.name].shape)}"
                    )
        for size, limit in self.manifest["limits"].items():
            limit = min(limit, self._sizes.get(size, limit))
            if found.get(size, 0) > limit:
                raise UserError(
                    f"{spec.name}: {size} is {limit} at most. Received: {found[size]}. Cut the "
                    f"input, or {LARGER.get(size, 'train and export with a larger --max-length')}."
                )
        for size, fixed in self._sizes.items():
            padded = size == "B" or size in self.manifest["limits"]
            if not padded and found.get(size, fixed) != fixed:
                raise UserError(
                    f"{spec.name}: {size} is {fixed} in the {self.format} file, whose shapes are "
                    f"fixed. Received: {found[size]}. Give {fixed}, or export with --max-length "
                    f"{found[size]} or --dynamic-length."
                )
        return found

    def open_stream(self) -> "Stream":
        """A stream of steps through the signature `stream`, its state kept between calls."""
        if "stream" not in self.signatures:
            raise UserError(f"{self.path} has no signature `stream`. Export with --stream.")
        return Stream(self)

    def _part(self, tensor: TensorSpec, array: np.ndarray, start: int, batch: int) -> np.ndarray:
        """Rows from `start`, padded with zeros to the sizes that the file has fixed."""
        if "B" in tensor.shape:
            array = array[start : start + batch]
        padding = []
        for size, received in zip(tensor.shape, array.shape, strict=True):
            # No runtime makes much of a width of 0.
            least = 1 if size in self.manifest["limits"] else received
            wanted = self._sizes.get(size, max(received, least)) if isinstance(size, str) else size
            padding.append((0, wanted - received))
        return np.pad(array, padding) if any(after for _, after in padding) else array

    def tokenize(self, texts: Sequence[str]) -> np.ndarray:
        """Token ids `(len(texts), T)` int32, cut to the model's length and padded with 0."""
        if not self.manifest["tokenizer"]:
            raise UserError(f"{self.path} has no tokenizer: its model does not take token ids.")
        try:
            clean = [text.decode() for text in _texts("tokenize", texts)]
        except UnicodeDecodeError as error:
            raise UserError(
                f"tokenize takes Unicode only. Received: {error.object[:40]!r}. A signature on "
                "texts, such as classify_text, takes any bytes."
            ) from error
        length = self._sizes.get("T", self.manifest["limits"]["T"])
        rows = [encoding.ids[:length] for encoding in self._tokenizer.encode_batch(clean)]
        token_ids = np.zeros((len(rows), max((len(row) for row in rows), default=0) or 1), "int32")
        for i, row in enumerate(rows):
            token_ids[i, : len(row)] = row
        return token_ids

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        bundle.verify(self.path, self.manifest, bundle.TOKENIZER)
        return Tokenizer.from_file(str(self.path / bundle.TOKENIZER))


def _as_array(tensor: TensorSpec, value: Any) -> np.ndarray:
    if tensor.dtype == "string":
        return np.array(_texts(tensor.name, value), object)
    array = np.asarray(value)
    kinds = "iub" if np.dtype(tensor.dtype).kind in "iu" else "iubf"
    if array.dtype.kind not in kinds and array.size:
        raise UserError(
            f"{tensor.name} is {tensor.dtype} {list(tensor.shape)}. Received: {array.dtype} "
            f"{list(array.shape)}"
        )
    if array.ndim != len(tensor.shape):
        raise UserError(
            f"{tensor.name} has {len(tensor.shape)} dimensions {list(tensor.shape)}. Received: "
            f"{list(array.shape)}"
        )
    if array.dtype.kind in "iu" and array.size and np.dtype(tensor.dtype).kind in "iu":
        bounds = np.iinfo(tensor.dtype)
        if not bounds.min <= array.min() <= array.max() <= bounds.max:
            raise UserError(
                f"{tensor.name} is {tensor.dtype}, from {bounds.min} to {bounds.max}. Received: "
                f"{array.min()} to {array.max()}"
            )
    return array.astype(tensor.dtype)


def _texts(name: str, value: Any) -> list[bytes]:
    """Texts in UTF-8, of a list, a tuple or an array of them.

    Raises:
        UserError: If they are something else.
    """
    if isinstance(value, (str, bytes)):
        raise UserError(f"{name}: give a list of texts. Received one string: {value[:40]!r}")
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{name}: give a list of texts. Received: {type(value).__name__}")
    for text in value:
        if not isinstance(text, (str, bytes)):
            raise UserError(f"{name}: a text is a str or bytes. Received: {type(text).__name__}")
    return [to_bytes(text) for text in value]


def _check_lengths(signature: str, name: str, lengths: np.ndarray, size: int) -> None:
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= size:
        raise UserError(
            f"{signature}: {name} counts the bytes of each text, 0 to the {size} that are given. "
            f"Received: {lengths.min()} to {lengths.max()}"
        )


def _check_range(
    signature: str, tensor: TensorSpec, array: np.ndarray, dimensions: Mapping[str, int]
) -> None:
    """Refuses values that the model does not know; what stands for a size is the size given."""
    if tensor.minimum is None and tensor.maximum is None:
        return
    least = -np.inf if tensor.minimum is None else tensor.minimum
    most = np.inf if tensor.maximum is None else tensor.maximum
    if isinstance(most, str):
        most = dimensions.get(most, np.inf)
    # Written so that a NaN is outside.
    if array.size and not (array.min() >= least and array.max() <= most and array.max() < np.inf):
        what = f"{least:,} or more" if most == np.inf else f"from {least:,} to {most:,}"
        if isinstance(tensor.maximum, str):
            what += f", which is {tensor.maximum}"
        if not array.max() < np.inf:
            what = f"a finite number, {what}"
        received = f"{array.min():,}" + (f" to {array.max():,}" if array.size > 1 else "")
        raise UserError(f"{signature}: {tensor.name} is {what}. Received: {received}")


def _sized(tensor: TensorSpec, dimensions: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(
        dimensions.get(size, 0) if isinstance(size, str) else size for size in tensor.shape
    )


def _join(tensor: TensorSpec, parts: list[np.ndarray], dimensions: Mapping[str, int]) -> np.ndarray:
    """The parts of an output together, without what padding added."""
    if "B" not in tensor.shape:
        array = parts[0]
    else:
        # A size that a call finds by its rows is that of the call that needs most.
        widest = np.max([part.shape[1:] for part in parts], axis=0, initial=0)
        more = [np.subtract(widest, part.shape[1:]).astype(int) for part in parts]
        parts = [
            np.pad(part, [(0, 0), *((0, n) for n in after)]) if after.any() else part
            for part, after in zip(parts, more, strict=True)
        ]
        array = np.concatenate(parts)
    return array[tuple(slice(dimensions.get(size)) for size in tensor.shape)]


def _named(spec: SignatureSpec, texts: Sequence[Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs by name, those given without one too."""
    names = list(spec.texts) or [t.name for t in spec.inputs if t.dtype == "string"]
    if len(texts) > len(names):
        raise UserError(
            f"{spec.name} takes {len(names)} texts; name the other inputs: "
            f"{', '.join(f'{t.name}=…' for t in spec.inputs)}. Received: {len(texts)} without names"
        )
    return {**dict(zip(names, texts, strict=False)), **inputs}


def _encoded(
    spec: SignatureSpec, inputs: Mapping[str, Any], limits: Mapping[str, int]
) -> tuple[dict[str, Any], np.ndarray | None]:
    """The inputs with texts as UTF-8 bytes and their lengths, where a caller gave strings; and how
    many bytes of each row's texts were left out, `(B,)`, None where all are bytes already.

    Raises:
        UserError: If a text is no list of texts.
    """
    found, left_out = dict(inputs), None
    tensors = {tensor.name: tensor for tensor in spec.inputs}
    for name, length in spec.texts.items():
        if name not in found or length in found:
            continue
        rows = _texts(spec.name, found[name])
        part = truncate_left if tensors[name].truncation_side == "left" else truncate
        limit = limits.get(tensors[name].shape[1])
        read = rows if limit is None else [part(row, limit) for row in rows]
        longer = [len(row) - len(kept) for row, kept in zip(rows, read, strict=True)]
        left_out = np.array(longer, "int32") + (0 if left_out is None else left_out)
        found[name], found[length] = pack_texts(read)
    return found, left_out


class Stream:
    """Steps through a bundle's `stream` signature, one a call.

    stream = export.load("bundle").open_stream()
    for frame in microphone:                    # (B, 1, D)
        outputs = stream(audio=frame)
    """

    def __init__(self, loaded: LoadedBundle) -> None:
        self._loaded = loaded
        self._spec = loaded.signatures["stream"]
        self.reset()

    def reset(self) -> None:
        """Begins a new sequence: states of zeros."""
        returned = {tensor.name for tensor in self._spec.outputs}
        self._states = {
            tensor.name: np.zeros(tensor.shape, tensor.dtype)
            for tensor in self._spec.inputs
            if f"next_{tensor.name}" in returned
        }

    def __call__(self, **inputs: Any) -> Arrays:
        """One step: inputs and outputs by name, without the states."""
        outputs = self._loaded.run("stream", **inputs, **self._states)
        self._states = {name: outputs.pop(f"next_{name}") for name in self._states}
        return outputs
