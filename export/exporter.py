"""From a model to a bundle, proven."""

import importlib.metadata
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from export import bundle, card, parity, runtime
from export import formats as all_formats
from export.keras_layers import expressed_in_our_terms, float32
from export.strings import with_strings
from keras_seq.errors import UserError
from keras_seq.signature import Signature
from keras_seq.typing import Arrays

# Steps of random inputs where the model and its files leave them open.
DRAWN_LENGTH = 32

PACKAGES = ("keras-seq", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
DIFFERENT = "No bundle was kept. Please report this with the model's configuration."


def export(
    model: Any,
    output: str | Path,
    formats: str | Sequence[str] = all_formats.NAMES,
    *,
    texts: Sequence[str] | None = None,
    texts_name: str = "texts of the caller",
    sample: Mapping[str, Any] | None = None,
    batch: int = 1,
    max_length: int | None = None,
    max_new_tokens: int | None = None,
    max_bytes: int | None = None,
    beam: int | None = None,
    dynamic: Collection[str] = (),
    stream: bool = False,
    only: Sequence[str] | None = None,
    metrics: Mapping[str, Any] | None = None,
    trained_on: Mapping[str, str] | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Writes a bundle and proves that every format in it computes what Keras computes.

    The bundle appears at `output` when it is whole and proven; after any error nothing does.

    Args:
        model: A `keras_seq.models` model, or any other `keras.Model`: see `KerasModel`.
        output: The folder to make.
        formats: Of "saved_model", "tflite", "onnx".
        texts: Real texts to compare on; random inputs if None.
        texts_name: What these are, for the manifest.
        sample: Real inputs of a Keras model to compare on, arrays by the names of its inputs.
        batch: Rows of a call where a format has fixed shapes (TFLite).
        max_length: Steps of a row there, where the model leaves them open; the model's own maximum
            if None. Also the tokens that the signatures on texts read, in every format.
        max_new_tokens: Tokens that a text generator adds to a prompt at most, in every format; by
            default what `max_length` leaves of the model's positions, or half of them.
        max_bytes: Bytes of a text there; by default as many as `max_length` tokens surely have, and
            512 where a foreign model takes a text.
        beam: Beams of a translator's search, in every format, and translations it gives; 4 if
            None.
        dynamic: Of "batch" and "length": sizes that TFLite is to leave open, too.
        stream: Also write `stream`, one step of a recurrent Keras model with its state.
        only: Names of the signatures to write; all of the model's if None. A phone that calls few
            has less to fetch.
        metrics: Results of the model on held-out data, for manifest and model card.
        trained_on: "data", the name of what the model learnt from, and its "licence" if it has one,
            likewise.
        overwrite: Replace a folder that is not empty.
        say: Called with a line of progress at each step.

    Returns:
        The manifest.

    Raises:
        UserError: If Keras runs on another backend than TensorFlow, `output` is in the way, a
            format cannot hold the model, or a runtime's answers differ from Keras's by more than
            `parity.TOLERANCE`.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UserError(
            "Formats are written with TensorFlow, whatever a model was trained with. Set "
            f"KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    names = _known(formats)
    if not hasattr(model, "signatures"):
        from export.keras_model import KerasModel

        model = KerasModel(model, sample, batch if stream else None)
    elif stream or sample:
        raise UserError(
            f"{type(model).__name__} has signatures of its own and is compared on texts: --stream "
            "and --sample are for other Keras models."
        )
    asked = {
        "max_length": max_length,
        "max_new_tokens": max_new_tokens,
        "max_bytes": max_bytes,
        "beam": beam,
    }
    for name, value in asked.items():
        if value is not None and value < 1:
            raise UserError(f"{name} is 1 or more. Received: {value}")
    asked = {
        size: value for size, value in zip("TNLK", asked.values(), strict=True) if value is not None
    }
    limits = model.limits(asked)
    for size, name, who in (
        ("N", "max_new_tokens", "text generators and translators"),
        ("K", "beam", "translators"),
    ):
        if size in asked and size not in limits:
            raise UserError(
                f"{name} is for {who}. Received: {asked[size]} for a model of the task {model.task}"
            )
    if asked.get("T", 0) > limits.get("T", math.inf):
        raise UserError(
            f"max_length is from 1 to the {limits['T']} that the model was trained with. Received: "
            f"{max_length}"
        )
    with float32():
        every = model.signatures(asked)
    signatures = _chosen(every, only)
    sizes = _static_sizes(limits, every, batch, asked, sample, dynamic)
    source = f"{parity.DRAWN_ROWS} random inputs"
    if texts:
        source = f"{len(texts)} {texts_name}"
    elif sample:
        source = f"a sample of {len(next(iter(sample.values())))} inputs"
    with bundle.new_folder(output, overwrite) as folder:
        say("Asking Keras")
        with float32():
            drawn = model.random_inputs(_drawn_rows(signatures), 0, sizes)
            drawn = {signature.name: drawn[signature.name] for signature in signatures}
            inputs = drawn
            if texts:
                inputs = model.signature_inputs(texts, sizes)
            elif sample:
                inputs = model.sample_inputs(sample, sizes)
            answers, expected = _answers(signatures, drawn, inputs)
        parity.save_reference(folder / bundle.PARITY, drawn, answers)
        if model.tokenizer is not None:
            (folder / bundle.TOKENIZER).write_text(model.tokenizer.to_json(), "utf-8")

        manifest = {
            "task": model.task,
            **model.describe(),
            "created_with": _versions(),
            "labels": list(model.labels),
            "tokenizer": bundle.TOKENIZER if model.tokenizer is not None else None,
            "tokenizer_bytes": model.tokenizer.table_bytes if model.tokenizer is not None else 0,
            # All formats read equally much of a text.
            "limits": {name: sizes["L"] if name == "L" else n for name, n in limits.items()},
            "signatures": _described(signatures, names),
            "formats": {},
            "metrics": dict(metrics or {}),
            "trained_on": dict(trained_on or {}),
        }
        for name in names:
            say(f"Writing {name}")
            manifest["formats"][name] = _write(name, signatures, folder, sizes, dynamic)
        bundle.write_manifest(folder, manifest)

        proof: dict[str, Any] = {}
        specs = [signature.spec for signature in signatures]
        for name in names:
            say(f"Comparing {name} with Keras on {source}")
            loaded = runtime.load(folder, name, threads=1)
            if inputs is not drawn:  # What `check` will compare has to hold, too.
                parity.prove(loaded, specs, drawn, answers, DIFFERENT)
            proof[name] = parity.prove(loaded, specs, inputs, expected, DIFFERENT)
        manifest["parity"] = {"inputs": source, "tolerance": parity.TOLERANCE, "formats": proof}
        (folder / bundle.CARD).write_text(card.model_card(Path(output).name, manifest), "utf-8")
        bundle.write_manifest(folder, manifest)
    return bundle.read_manifest(output)


def _known(names: str | Sequence[str]) -> list[str]:
    names = (names,) if isinstance(names, str) else names
    unknown = [name for name in names if name not in all_formats.NAMES]
    if unknown or not names:
        raise UserError(
            f"formats are some of {', '.join(all_formats.NAMES)}. Received: "
            f"{', '.join(names) or 'none'}"
        )
    return [name for name in all_formats.NAMES if name in names]


def _chosen(signatures: Sequence[Signature], only: Sequence[str] | None) -> Sequence[Signature]:
    names = [signature.name for signature in signatures]
    unknown = [name for name in only or () if name not in names]
    if unknown or only == []:
        received = ", ".join(only or ()) or "none"
        raise UserError(f"The model has the signatures {', '.join(names)}. Received: {received}")
    return [s for s in signatures if only is None or s.name in only]


def _static_sizes(
    limits: Mapping[str, int],
    signatures: Sequence[Signature],
    batch: int,
    asked: Mapping[str, int],
    sample: Mapping[str, Any] | None,
    dynamic: Collection[str],
) -> dict[str, int]:
    """A size for every dimension that the signatures leave open."""
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
                    # Of a text: fewer where fewer tokens of it are read.
                    share = asked.get("T", limits["T"]) / limits["T"] if "T" in limits else 1
                    sizes[size] = asked.get("L", math.ceil(limits["L"] * share))
                elif size in limits:
                    sizes[size] = asked.get(size, limits[size])
                elif "T" in asked:
                    sizes[size] = asked["T"]
                elif sample and tensor.name in sample:
                    sizes[size] = sample[tensor.name].shape[axis]
                elif "length" in dynamic:
                    sizes[size] = DRAWN_LENGTH
                else:
                    raise UserError(
                        f"The input {tensor.name} has the shape {list(tensor.shape)}: the model "
                        f"leaves {size} open, and the files need a size. Give one: --max-length N, "
                        "or a sample of that size: --sample FILE.npz; or leave it open there, too: "
                        "--dynamic-length"
                    )
    return sizes


def _drawn_rows(signatures: Sequence[Signature]) -> int:
    """`parity.DRAWN_ROWS`, or what is whole batches for a model with a batch of its own."""
    batches = [s.inputs[0].shape[0] for s in signatures]
    whole = math.lcm(*(batch for batch in batches if isinstance(batch, int)))
    return whole * math.ceil(parity.DRAWN_ROWS / whole)


def _answers(
    signatures: Sequence[Signature], drawn: Mapping[str, Arrays], inputs: Mapping[str, Arrays]
) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
    """What Keras answers to both, by signature; they may be one."""
    given = (drawn,) if inputs is drawn else (drawn, inputs)
    found = {s.name: parity.references(s, *(some[s.name] for some in given)) for s in signatures}
    return tuple({name: answers[i] for name, answers in found.items()} for i in (0, -1))


def _write(
    name: str,
    signatures: Sequence[Signature],
    folder: Path,
    sizes: dict[str, int],
    dynamic: Collection[str],
) -> dict[str, Any]:
    """Writes a format; returns what the manifest says of it."""
    module = all_formats.module(name)
    fixed = {
        size: value
        for size, value in (sizes if module.STATIC else {}).items()
        if ("batch" if size == "B" else "length") not in dynamic
    }
    if module.STRINGS:
        signatures = with_strings(signatures)
    with float32(), expressed_in_our_terms():
        module.write(signatures, folder, fixed)
    files = sorted(path for path in (folder / module.FOLDER).rglob("*") if path.is_file())
    return {
        "files": [path.relative_to(folder).as_posix() for path in files],
        "precision": "float32",
        "sizes": fixed,
        "bytes": sum(path.stat().st_size for path in files),
    }


def _described(signatures: Sequence[Signature], names: Sequence[str]) -> dict[str, Any]:
    """The signatures for the manifest; those that only some formats have say which."""
    described = {s.name: s.spec.to_json() for s in signatures}
    strings = [name for name in names if all_formats.module(name).STRINGS]
    for s in with_strings(signatures) if strings else ():
        described.setdefault(s.name, {**s.spec.to_json(), "formats": strings})
    return described


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}
