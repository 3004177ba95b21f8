"""Manifests of schema version 1, as keras-seq wrote them before bundles named their own entry."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from export.manifest import ManifestError, Name, Size, Text, Word, require_form
from keras_seq.signature import DIMENSIONS, Entry

# Schema 1 leaves it to the reader to know which signatures of a task come first.
ENTRIES = {
    "classify": Entry("classify_text"),
    "generate": Entry("generate_text", ("prefill_text", "decode_text")),
    "translate": Entry("translate_text", ("translate_text", "attend_text")),
}
DEFAULTS = {"generate": ("temperature", "top_k", "top_p", "repetition_penalty")}


class Signature1(Struct):
    """The inputs of a signature; what they may say is checked when they are upgraded."""

    inputs: list[dict[Name, Any]]


class Variant1(Struct):
    """A format."""

    precision: Word


class Parity1(Struct):
    """How the formats compared with Keras."""

    formats: dict[Name, Any]


class Manifest1(Struct):
    """What differs between schema 1 and schema 2; the rest is checked as schema 2."""

    schema_version: Literal[1]
    task: Text
    formats: dict[Name, Variant1]
    limits: dict[Name, Size]
    signatures: dict[Name, Signature1]
    parity: Parity1 | UnsetType = UNSET


def upgrade_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns a manifest of schema 1 in the form of schema 2, which is still to be checked.

    Raises:
        ManifestError: If it is none of schema 1.
    """
    require_form(manifest, Manifest1)
    if not manifest["signatures"]:
        raise ManifestError("there is no signature at signatures")
    known = [tensor for s in manifest["signatures"].values() for tensor in s["inputs"]]
    if any(not isinstance(tensor.get("name"), str) for tensor in known):
        raise ManifestError("an input has no name at signatures")
    for key in ("entry", "dimensions", "variants"):
        if key in manifest:
            raise ManifestError(f"schema 1 has no {key}")
    upgraded = {**manifest, "schema_version": 2}
    formats = upgraded.pop("formats")
    upgraded["signatures"] = {
        name: {**spec, "inputs": [_upgrade_input(tensor) for tensor in spec["inputs"]]}
        for name, spec in manifest["signatures"].items()
    }
    upgraded["entry"] = _make_entry(manifest["task"], upgraded["signatures"])
    limits = manifest["limits"]
    upgraded["dimensions"] = {letter: DIMENSIONS.get(letter, letter) for letter in limits}
    upgraded["limits"] = {DIMENSIONS.get(letter, letter): n for letter, n in limits.items()}
    upgraded["variants"] = [{**variant, "format": name} for name, variant in formats.items()]
    if "parity" in manifest:
        parity = dict(manifest["parity"])
        parity["variants"] = [
            {"format": name, "precision": formats[name]["precision"], "signatures": signatures}
            for name, signatures in parity.pop("formats").items()
            if name in formats
        ]
        upgraded["parity"] = parity
    return upgraded


def _upgrade_input(tensor: dict[str, Any]) -> dict[str, Any]:
    upgraded = dict(tensor)
    if upgraded.pop("keep", None) == "end":
        upgraded["truncation_side"] = "left"
    return upgraded


def _make_entry(task: str, signatures: dict[str, Any]) -> dict[str, Any]:
    entry = ENTRIES.get(task, Entry(next(iter(signatures)))).restrict(signatures)
    inputs = {t["name"]: t for spec in signatures.values() for t in spec["inputs"]}
    names = [name for name in DEFAULTS.get(task, ()) if "default" in inputs.get(name, {})]
    return {**entry.to_json(), "defaults": {name: inputs[name]["default"] for name in names}}
