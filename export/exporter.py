"""From a model to a bundle, proven."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from export import bundle, card, parity
from export import formats as all_formats
from keras_seq.errors import UserError
from keras_seq.signature import Exportable, Signature

Arrays = dict[str, Any]

PACKAGES = ("keras-seq", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")


def export(
    model: Exportable,
    output: str | Path,
    formats: Sequence[str] = all_formats.NAMES,
    *,
    texts: Sequence[str] | None = None,
    texts_name: str = "texts of the caller",
    batch: int = 1,
    max_length: int | None = None,
    metrics: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Writes a bundle and proves that every format in it computes what Keras computes.

    The bundle appears at `output` when it is whole and proven; after any error nothing does.

    Args:
        model: A `keras_seq.models` model.
        output: The folder to make.
        formats: Of "saved_model", "tflite", "onnx".
        texts: Real texts to compare on; random inputs if None.
        texts_name: What these are, for the manifest.
        batch: Rows of a call where a format has fixed shapes (TFLite).
        max_length: Token ids of a row there; the model's own maximum if None.
        metrics: Results of the model on held-out data, for manifest and model card.
        overwrite: Replace a folder that is not empty.
        say: Called with a line of progress at each step.

    Returns:
        The manifest.

    Raises:
        UserError: If `output` is in the way, a format cannot hold the model, or a runtime's
            answers differ from Keras's by more than `parity.TOLERANCE`.
    """
    names = _known(formats)
    sizes = _static_sizes(model, batch, max_length)
    signatures = model.signatures()
    source = f"{len(texts)} {texts_name}" if texts else f"{parity.DRAWN_ROWS} random inputs"
    with bundle.new_folder(output, overwrite) as folder:
        say("Asking Keras")
        drawn = _cut(model.drawn_inputs(parity.DRAWN_ROWS, seed=0), signatures, sizes)
        answers = _answers(signatures, drawn)
        inputs, expected = drawn, answers
        if texts:
            inputs = _cut(model.signature_inputs(texts), signatures, sizes)
            expected = _answers(signatures, inputs)
        parity.save_reference(folder / bundle.PARITY, drawn, answers)
        (folder / bundle.TOKENIZER).write_text(model.tokenizer.to_json(), "utf-8")

        manifest = {
            "task": model.task,
            **model.describe(),
            "created_with": _versions(),
            "labels": list(model.labels),
            "tokenizer": bundle.TOKENIZER,
            "limits": dict(model.limits),
            "signatures": {s.name: s.spec.to_json() for s in signatures},
            "formats": {},
            "metrics": dict(metrics or {}),
        }
        for name in names:
            say(f"Writing {name}")
            manifest["formats"][name] = _write(name, signatures, folder, sizes)
        bundle.write_manifest(folder, manifest)

        proof: dict[str, Any] = {}
        for name in names:
            say(f"Comparing {name} with Keras on {source}")
            proof[name] = parity.prove(folder, name, signatures, inputs, expected)
        manifest["parity"] = {"inputs": source, "tolerance": parity.TOLERANCE, "formats": proof}
        (folder / bundle.CARD).write_text(card.model_card(Path(output).name, manifest), "utf-8")
        bundle.write_manifest(folder, manifest)
    return bundle.read_manifest(output)


def _known(names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in all_formats.NAMES]
    if unknown or not names:
        raise UserError(
            f"formats are some of {', '.join(all_formats.NAMES)}. Received: "
            f"{', '.join(names) or 'none'}"
        )
    return [name for name in all_formats.NAMES if name in names]


def _static_sizes(model: Exportable, batch: int, max_length: int | None) -> dict[str, int]:
    limit = model.limits["T"]
    length = limit if max_length is None else max_length
    if not 1 <= length <= limit:
        raise UserError(
            f"max_length is from 1 to the {limit} that the model was trained with. Received: "
            f"{length}"
        )
    if batch < 1:
        raise UserError(f"batch is 1 or more. Received: {batch}")
    return {"B": batch, "T": length}


def _cut(
    inputs: Mapping[str, Arrays], signatures: Sequence[Signature], sizes: Mapping[str, int]
) -> dict[str, Arrays]:
    """The inputs cut to the lengths that every format takes."""
    shapes = {(s.name, tensor.name): tensor.shape for s in signatures for tensor in s.inputs}
    return {
        signature: {
            name: array[
                tuple(
                    slice(sizes["T"] if size == "T" else None) for size in shapes[signature, name]
                )
            ]
            for name, array in arrays.items()
        }
        for signature, arrays in inputs.items()
    }


def _answers(signatures: Sequence[Signature], inputs: Mapping[str, Arrays]) -> dict[str, Arrays]:
    return {s.name: parity.reference(s, inputs[s.name]) for s in signatures}


def _write(
    name: str, signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]
) -> dict[str, Any]:
    """Writes a format; returns what the manifest says of it."""
    module = all_formats.module(name)
    fixed = sizes if module.STATIC else {}
    module.write(signatures, folder, fixed)
    files = sorted(path for path in (folder / module.FOLDER).rglob("*") if path.is_file())
    return {
        "files": [path.relative_to(folder).as_posix() for path in files],
        "precision": "float32",
        "sizes": fixed,
        "bytes": sum(path.stat().st_size for path in files),
    }


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}
