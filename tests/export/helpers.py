"""What several tests of bundles use."""

import json
import shutil

from export import bundle
from keras_seq.signature import DIMENSIONS

LETTERS = {word: letter for letter, word in DIMENSIONS.items()}


def parity_figures(manifest):
    """Returns the parity figures of a manifest by format and signature."""
    return {v["format"]: v["signatures"] for v in manifest["parity"]["variants"]}


def downgrade(manifest):
    """Returns a manifest of schema 2 as keras-seq wrote it in schema 1."""
    old = {**manifest, "schema_version": 1}
    for key in ("entry", "dimensions", "variants"):
        del old[key]
    old["limits"] = {LETTERS[word]: limit for word, limit in manifest["limits"].items()}
    old["formats"] = {}
    for variant in manifest["variants"]:
        rest = {key: value for key, value in variant.items() if key != "format"}
        old["formats"][variant["format"]] = rest
    parity = {v["format"]: v["signatures"] for v in manifest["parity"]["variants"]}
    old["parity"] = {"formats": parity} | {
        key: value for key, value in manifest["parity"].items() if key != "variants"
    }
    old["signatures"] = json.loads(json.dumps(manifest["signatures"]))
    for signature in old["signatures"].values():
        for tensor in signature["inputs"]:
            if tensor.pop("truncation_side", None) == "left":
                tensor["keep"] = "end"
    return old


def copy_with_schema_1(source, folder):
    """Copies a bundle, with a manifest of schema 1; returns the manifest of schema 2."""
    shutil.copytree(source, folder)
    manifest = bundle.read_manifest(folder)
    old = downgrade(manifest)
    old["sha256"] = bundle._own_sha256(old)
    (folder / "manifest.json").write_text(json.dumps(old), "utf-8")
    return manifest
