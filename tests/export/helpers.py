"""What several tests of bundles use."""

import json
import re
import shutil

import numpy as np
import pytest
from keras import tree

import export
from export import bundle
from export.formats import module as find_format
from export.manifest import read_specs
from export.parity import load_reference
from keras_seq.errors import UserError
from keras_seq.signature import DIMENSIONS

LETTERS = {word: letter for letter, word in DIMENSIONS.items()}


def parity_figures(manifest):
    """Returns the parity figures of a manifest by format and signature."""
    return {v["format"]: v["signatures"] for v in manifest["parity"]["variants"]}


def read_reference(folder):
    """Returns the random inputs that a bundle carries, and Keras's answers, by signature."""
    manifest = bundle.read_manifest(folder)
    with bundle.open_listed(folder, manifest, bundle.PARITY) as file:
        return load_reference(file, read_specs(manifest))


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
    old["sha256"] = bundle.hash_manifest(old)
    (folder / "manifest.json").write_text(json.dumps(old), "utf-8")
    return manifest


def assert_exports(model, folder, inputs, *, formats=("tflite", "onnx"), atol=1e-5, **options):
    """Exports a model and compares each format with the model itself on `inputs`, by name."""
    export.export(model, folder, formats, **options)
    arrays = list(inputs.values())
    expected = model([np.asarray(a) for a in arrays] if len(arrays) > 1 else arrays[0])
    if not isinstance(expected, dict):
        outputs = export.load(folder, formats[0]).signatures["predict"].outputs
        expected = dict(zip((t.name for t in outputs), tree.flatten(expected), strict=True))
    for format in formats:
        found = export.load(folder, format).predict(**inputs)
        for name, value in expected.items():
            for i, part in enumerate(tree.flatten(value)):
                key = name if part is value else f"{name}_{i}"
                message = f"{format} {key}"
                np.testing.assert_allclose(found[key], part, atol=atol, rtol=1e-4, err_msg=message)
    if "tflite" in formats:
        operators = find_format("tflite").operators(folder)
        assert not [name for name in operators if "VAR" in name or name.startswith("CALL_ONCE")]


def assert_refused(model, folder, words, formats, **options):
    """Exports a model to each format alone; checks that one sentence of ours refuses it."""
    for format in formats:
        with pytest.raises(UserError, match=words) as error:
            export.export(model, folder / format, [format], **options)
        text = str(error.value)
        assert not re.search(r"\x1b|Traceback|loc\(|Exception encountered|tf2onnx", text), text
        assert len(text) < 600
        assert not (folder / format).exists()
