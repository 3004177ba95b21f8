"""Manifests of schema version 1, as keras-seq wrote them before bundles named their own entry."""

from typing import Any

from keras_seq.signature import DIMENSIONS, Entry

# Schema 1 leaves it to the reader to know which signatures of a task come first.
ENTRIES = {
    "classify": Entry("classify_text"),
    "generate": Entry("generate_text", ("prefill_text", "decode_text")),
    "translate": Entry("translate_text", ("translate_text", "attend_text")),
}
DEFAULTS = {"generate": ("temperature", "top_k", "top_p", "repetition_penalty")}


def upgrade_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns a manifest of schema 1 in the form of schema 2."""
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
    upgraded["variants"] = [{"format": name, **variant} for name, variant in formats.items()]
    if "parity" in manifest:
        parity = dict(manifest["parity"])
        parity["variants"] = [
            {"format": name, "precision": formats[name]["precision"], "signatures": signatures}
            for name, signatures in parity.pop("formats").items()
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
