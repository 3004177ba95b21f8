"""Writes a model as a bundle and proves it."""

import importlib.metadata
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_seq.models  # noqa: F401 - so that Keras knows our classes in .keras files
from export import bundle, card, parity, runtime
from export import formats as all_formats
from export.report import ExportReport
from export.strings import add_strings
from keras_seq.checking import check_arguments
from keras_seq.errors import UserError
from keras_seq.installation import explain_missing
from keras_seq.signature import DIMENSIONS, Entry, Signature
from keras_seq.text.utf8 import list_texts

LETTERS = {word: letter for letter, word in DIMENSIONS.items()}
SIZES = ("batch", "length")  # In `dynamic`.
INTERACTIVE = "interactive"  # In `only`: the signatures of the entry that an app calls.
RANDOM_LENGTH = 32  # Steps of random inputs where the model and its files leave them open.
PACKAGES = ("keras-seq", "keras", "tensorflow")


@check_arguments
def export_model(
    model: Any,
    output: str | Path,
    formats: str | Sequence[str] = all_formats.NAMES,
    *,
    texts: Any = None,
    texts_name: str = "texts of the caller",
    tokenizer: Any = None,
    sample: Any = None,
    batch: int = 1,
    max_length: int | None = None,
    max_new_tokens: int | None = None,
    max_bytes: int | None = None,
    num_beams: int | None = None,
    dynamic: Collection[str] = (),
    stream: bool = False,
    only: Sequence[str] | None = None,
    metrics: Mapping[str, Any] | None = None,
    trained_on: Mapping[str, str] | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Writes a bundle and proves that every format in it computes what Keras computes.

    The bundle appears at `output` when it is complete and proven; after any error nothing does.

    Args:
        model: A `keras_seq.models` model, or any other `keras.Model`; see `KerasModel`.
        output: Folder to make.
        formats: One or more of "saved_model", "tflite" and "onnx".
        texts: Real texts to compare on, in a list, an array or a pandas Series; random inputs if
            None.
        texts_name: Description of the texts, for the manifest.
        tokenizer: A tokenizer of `keras_seq.text` for a Keras model that reads token ids, which
            then also reads text; see `KerasTextModel`.
        sample: Real inputs of a Keras model to compare on: arrays by the names of its inputs, a
            tuple of arrays in their order, one array, or a `tf.data.Dataset`.
        batch: Rows of a call in a format with fixed shapes (TFLite).
        max_length: Steps of a row in such a format where the model leaves them open; the model's
            own maximum if None, and open, too, where it has none. In every format also the tokens
            that signatures on texts read.
        max_new_tokens: Largest number of tokens that a text generator or translator writes, in
            every format. By default a generator writes what `max_length` leaves of its positions,
            or half of them.
        max_bytes: Bytes of a text there; by default as many as `max_length` tokens can have, and
            512 for other Keras models.
        num_beams: Beams of a translator's search, in every format, and translations it returns; 4
            if None.
        dynamic: Sizes that TFLite leaves open, too: "batch", "length" or both.
        stream: Also write `stream`, one step of a recurrent Keras model with its state.
        only: Names of the signatures to write; all of the model's if None. "interactive" stands for
            those that an app with live results calls: a phone then downloads less.
        metrics: Results of the model on held-out data, for manifest and model card.
        trained_on: "data", the name of the training data, and its "licence" if it has one.
        overwrite: Replace a folder that isn't empty.
        say: Called with a line of progress at each step.

    Returns:
        The manifest, a dictionary. It shows itself as the table of what was proven.

    Raises:
        UserError: If Keras runs on another backend than TensorFlow, `output` is in the way, a
            format cannot hold the model, or a runtime's answers differ from Keras's by more than
            `parity.TOLERANCE`.
    """
    _require_tensorflow()
    # These can only be imported where Keras runs on TensorFlow.
    from export.formats.trace import freeze
    from export.keras_layers import float32
    from export.reference import Reference

    names = _check_formats(formats)
    unknown = [size for size in dynamic if size not in SIZES]
    if unknown:
        raise UserError(f"dynamic lists {' and '.join(SIZES)}. Received: {unknown[0]!r}")
    texts = [] if texts is None else list_texts(texts, "texts")
    is_foreign = not hasattr(model, "signatures")
    if is_foreign:
        model = _wrap(model, tokenizer, sample, batch if stream else None, "length" in dynamic)
        sample = model.sample
    elif stream or sample is not None or tokenizer is not None:
        raise UserError(
            f"{type(model).__name__} has signatures and a tokenizer of its own and is compared on "
            "texts: --stream, --sample and --tokenizer are for other Keras models."
        )
    # Now: a text that the manifest cannot hold would be refused at the end.
    told = {"labels": list(model.labels), "metrics": metrics, "trained_on": trained_on}
    bundle.require_plain({**told, "texts_name": texts_name})
    requested = _requested_sizes(
        max_length=max_length,
        max_new_tokens=max_new_tokens,
        max_bytes=max_bytes,
        num_beams=num_beams,
    )
    limits = model.limits(requested)
    _check_sizes(requested, limits, model.task)
    with float32():
        every = model.signatures(requested)
    entry = getattr(model, "entry", None) or Entry(every[0].name)
    signatures = _select_signatures(every, entry, only)
    sizes, open_sizes = _static_sizes(limits, every, batch, requested, sample)
    if is_foreign and "length" in dynamic and not any(size.startswith("T") for size in sizes):
        raise UserError(
            "The model has a fixed length, which no file can leave open: --dynamic-length. Build "
            "it with keras.Input((None, …)), or leave the option out."
        )
    open_sizes |= {size for size in sizes if ("batch" if size == "B" else "length") in dynamic}
    source = f"{parity.RANDOM_ROWS} random inputs"
    if texts:
        source = f"{len(texts)} {texts_name}"
    elif sample:
        source = f"a sample of {len(next(iter(sample.values())))} inputs"
    with bundle.new_folder(output, overwrite) as folder:
        say("Computing the answers of Keras")
        # Our own layers are right for any size: one graph answers and goes into files.
        frozen = signatures
        if not is_foreign:
            with float32():
                frozen = [freeze(signature) for signature in signatures]
        reference = Reference(
            model, frozen, _random_rows(signatures), sizes, open_sizes, texts, sample
        )
        random = reference.random
        parity.save_reference(folder / bundle.PARITY, random.inputs, random.outputs)
        if model.tokenizer is not None:
            (folder / bundle.TOKENIZER).write_text(model.tokenizer.to_json(), "utf-8")

        limits = {**limits, **{size: sizes[size] for size in ("L",) if size in limits}}
        described = _describe_signatures(signatures, names)
        manifest = {
            "task": model.task,
            **model.describe(),
            "created_with": _package_versions(names),
            "labels": list(model.labels),
            "tokenizer": bundle.TOKENIZER if model.tokenizer is not None else None,
            "tokenizer_bytes": model.tokenizer.table_bytes if model.tokenizer is not None else 0,
            "entry": entry.restrict([signature.name for signature in signatures]).to_json(),
            "limits": {DIMENSIONS.get(size, size): n for size, n in limits.items()},
            "dimensions": {size: DIMENSIONS.get(size, size) for size in limits},
            "signatures": described,
            "variants": [],
            "metrics": dict(metrics or {}),
            "trained_on": dict(trained_on or {}),
        }
        for name in names:
            say(f"Writing {name}")
            made_of = signatures if all_formats.module(name).RULES else frozen
            manifest["variants"].append(_write_variant(name, made_of, folder, sizes, open_sizes))
        bundle.write_manifest(folder, manifest)

        proofs = []
        for variant in manifest["variants"]:
            name, precision = variant["format"], variant["precision"]
            say(f"Comparing {name} with Keras on {source}")
            figures = reference.prove(runtime.load(folder, name, 1, precision))
            proofs.append({"format": name, "precision": precision, "signatures": figures})
        manifest["parity"] = {
            "inputs": source,
            "tolerance": parity.TOLERANCE,
            "variants": proofs,
        }
        (folder / bundle.CARD).write_text(card.model_card(Path(output).name, manifest), "utf-8")
        bundle.write_manifest(folder, manifest)
    return ExportReport(bundle.read_manifest(output))


def _wrap(model: Any, tokenizer: Any, sample: Any, stream: int | None, open_length: bool) -> Any:
    """Returns any Keras model as an `Exportable`; one with a tokenizer reads text, too."""
    if tokenizer is None:
        from export.keras_model import KerasModel

        return KerasModel(model, sample, stream, open_length)
    from export.keras_text_model import KerasTextModel

    return KerasTextModel(model, tokenizer, sample, stream, open_length)


def _require_tensorflow() -> None:
    try:
        import keras
    except ModuleNotFoundError as error:
        raise explain_missing(error) from None
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            "Formats are written with TensorFlow, whatever a model was trained with. Set "
            f"KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND={keras.backend.backend()}"
        )


def _check_formats(names: str | Sequence[str]) -> list[str]:
    """Returns the requested formats in the order in which they are written."""
    names = (names,) if isinstance(names, str) else names
    unknown = [name for name in names if name not in all_formats.NAMES]
    if unknown or not names:
        raise UserError(
            f"The formats are {', '.join(all_formats.NAMES)}. Received: "
            f"{', '.join(names) or 'none'}"
        )
    return [name for name in all_formats.NAMES if name in names]


def _requested_sizes(**sizes: int | None) -> dict[str, int]:
    """Returns the sizes that the user gave, by letter."""
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise UserError(f"{name} is 1 or more. Received: {value}")
    return {LETTERS[name]: value for name, value in sizes.items() if value is not None}


def _check_sizes(requested: Mapping[str, int], limits: Mapping[str, int], task: str) -> None:
    for size in ("N", "K"):  # Others hold for models without such a limit, too.
        if size in requested and size not in limits:
            raise UserError(
                f"A model of the task {task} has no {DIMENSIONS[size]}. Received: {requested[size]}"
            )
    if requested.get("T", 0) > limits.get("T", math.inf):
        raise UserError(
            f"max_length is from 1 to the {limits['T']} that the model was trained with. Received: "
            f"{requested['T']}"
        )


def _select_signatures(
    signatures: Sequence[Signature], entry: Entry, only: Sequence[str] | None
) -> Sequence[Signature]:
    if only is None:
        return signatures
    names = [signature.name for signature in signatures]
    selected = list(only)
    if INTERACTIVE in selected:
        selected.remove(INTERACTIVE)
        selected += entry.restrict(names).interactive
    if not selected or not set(selected) <= set(names):
        raise UserError(
            f"The model has the signatures {', '.join(names)}. Received: "
            f"{', '.join(only) or 'none'}"
        )
    return [signature for signature in signatures if signature.name in selected]


def _static_sizes(
    limits: Mapping[str, int],
    signatures: Sequence[Signature],
    batch: int,
    requested: Mapping[str, int],
    sample: Mapping[str, Any] | None,
) -> tuple[dict[str, int], set[str]]:
    """Returns a size for every dimension that the signatures leave open, and those that no one
    has given: files leave them open, and they are compared on inputs of one size.
    """
    open_sizes = set()
    if batch < 1:
        raise UserError(f"batch is 1 or more. Received: {batch}")
    sizes: dict[str, int] = {size: limits[size] for size in ("N", "K") if size in limits}
    for signature in signatures:
        for tensor in signature.inputs:
            for axis, size in enumerate(tensor.shape):
                if not isinstance(size, str) or size in sizes:
                    continue
                if size == "B":
                    sizes[size] = batch
                elif size == "L":
                    # A text has fewer bytes where fewer of its tokens are read.
                    share = requested.get("T", limits["T"]) / limits["T"] if "T" in limits else 1
                    sizes[size] = requested.get("L", math.ceil(limits["L"] * share))
                elif size in limits:
                    sizes[size] = requested.get(size, limits[size])
                elif "T" in requested:
                    sizes[size] = requested["T"]
                elif sample and tensor.name in sample:
                    sizes[size] = sample[tensor.name].shape[axis]
                else:
                    sizes[size] = RANDOM_LENGTH
                    open_sizes.add(size)
    return sizes, open_sizes


def _random_rows(signatures: Sequence[Signature]) -> int:
    """Returns `parity.RANDOM_ROWS`, rounded up to a multiple of the models' fixed batch sizes."""
    batches = [s.inputs[0].shape[0] for s in signatures]
    whole = math.lcm(*(batch for batch in batches if isinstance(batch, int)))
    return whole * math.ceil(parity.RANDOM_ROWS / whole)


def _write_variant(
    name: str,
    signatures: Sequence[Signature],
    folder: Path,
    sizes: dict[str, int],
    open_sizes: Collection[str],
) -> dict[str, Any]:
    """Writes a format; returns what the manifest says about it."""
    from export.keras_layers import float32, patched_keras_layers

    module = all_formats.module(name)
    fixed = {
        size: value
        for size, value in (sizes if module.STATIC else {}).items()
        if size not in open_sizes
    }
    if module.STRINGS:
        signatures = add_strings(signatures)
    with float32(), patched_keras_layers():
        module.write(signatures, folder, fixed)
    files = sorted(path for path in (folder / module.FOLDER).rglob("*") if path.is_file())
    return {
        "format": name,
        "precision": "float32",
        "files": [path.relative_to(folder).as_posix() for path in files],
        "sizes": fixed,
        "bytes": sum(path.stat().st_size for path in files),
    }


def _describe_signatures(signatures: Sequence[Signature], names: Sequence[str]) -> dict[str, Any]:
    """Returns the signatures for the manifest; those of some formats only name these."""
    described = {s.name: s.spec.to_json() for s in signatures}
    strings = [name for name in names if all_formats.module(name).STRINGS]
    for s in add_strings(signatures) if strings else ():
        described.setdefault(s.name, {**s.spec.to_json(), "formats": strings})
    return described


def _package_versions(names: Sequence[str]) -> dict[str, str]:
    packages = [
        *PACKAGES,
        *(package for name in names for package in all_formats.module(name).PACKAGES),
    ]
    return {package: importlib.metadata.version(package) for package in packages}
