"""A stranger's bundle: nothing outside it is opened, nothing in it runs, every fault is a sentence."""

import contextlib
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import export
from benchmarks.mutated_bundles import VALUES, mutate, rehash
from export import bundle
from export.cli import main
from export.formats.onnx.external import list_external
from export.formats.tflite_file import find_foreign
from export.runtime.loaded import UntrustedError
from keras_seq.errors import UserError
from tests.export.conftest import make_models
from tests.random_weights import randomize_weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def small(once):
    """A small classifier in all formats, exported by another process for most tests."""

    def make(folder):
        export.export(randomize_weights(make_models()["mood"], 4), folder / "mood")

    return once("small", make) / "mood"


@pytest.fixture
def forged(small, tmp_path):
    """A copy of it that a test changes; `rehash` makes its hashes right again."""
    return shutil.copytree(small, tmp_path / "mood")


def edit(folder, change):
    """Lets `change` change the manifest, and makes all hashes right again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")
    rehash(folder)


@pytest.fixture
def of_a_stranger(monkeypatch):
    """As if this process had exported nothing."""
    monkeypatch.setattr(bundle, "_written", set())


def test_mutated_bundles_are_refused_in_a_sentence_or_work(small, tmp_path, full):
    source = shutil.copytree(small, tmp_path / "source", ignore=shutil.ignore_patterns("saved*"))

    def drop(manifest):
        manifest["variants"] = [v for v in manifest["variants"] if v["format"] != "saved_model"]
        manifest["parity"]["variants"] = []
        del manifest["signatures"]["classify_string"]
        names = [name for name in manifest["files"] if name.startswith("saved_model")]
        for name in names:
            del manifest["files"][name]

    edit(source, drop)
    # kserve and Triton's client each bring the messages of the protocol, for one process.
    for count, option in ((3000 if full else 100, "--seed=1"), (300 if full else 12, "--triton")):
        command = [sys.executable, "-m", "benchmarks.mutated_bundles", str(source)]
        process = subprocess.run(
            [*command, f"--count={count}", option], cwd=ROOT, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert process.returncode == 0, process.stdout + process.stderr
        figures = re.findall(r"(\d[\d,]*) refused, (\d[\d,]*) opened", process.stdout)
        numbers = [[int(number.replace(",", "")) for number in pair] for pair in figures]
        assert len(numbers) == (1 if option == "--triton" else 5)
        assert all(sum(pair) == count and min(pair) > 0 for pair in numbers), process.stdout


def test_the_mutations_are_of_every_kind(small, tmp_path):
    told = set()
    for seed in range(60):
        folder = shutil.copytree(small, tmp_path / str(seed))
        told.add(mutate(folder, random.Random(seed)).split()[0])
        shutil.rmtree(folder)
    assert told == {"forge_manifest", "forge_text", "flip", "cut", "swap_kind", "forge_file"}
    assert len(VALUES) > 30


def write_evil_saved_model(folder, target):
    """Puts a SavedModel into a bundle that answers as it should, and writes a file."""
    import tensorflow as tf

    shutil.rmtree(folder / "saved_model")
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32, name="token_ids")])
    def classify(token_ids):
        with tf.control_dependencies([tf.io.write_file(str(target), "written")]):
            rows = tf.shape(token_ids)[0]
            return {"probabilities": tf.fill([rows, 2], 0.5)}

    tf.saved_model.save(module, str(folder / "saved_model"), {"classify": classify})
    paths = sorted(p for p in (folder / "saved_model").rglob("*") if p.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]

    def change(manifest):
        files = {k: v for k, v in manifest["files"].items() if not k.startswith("saved_model")}
        sizes = {
            name: {"sha256": "", "bytes": path.stat().st_size}
            for name, path in zip(names, paths, strict=True)
        }
        manifest["files"] = {**files, **sizes}
        variant = next(v for v in manifest["variants"] if v["format"] == "saved_model")
        variant["files"] = names
        variant["bytes"] = sum(path.stat().st_size for path in paths)

    edit(folder, change)


def test_no_savedmodel_of_a_stranger_runs_unasked(forged, tmp_path, capsys):
    target = tmp_path / "written"
    write_evil_saved_model(forged, target)
    for command in ("check", "inspect"):
        assert main([command, str(forged)]) == 0
        assert not target.exists()
    assert "If you know who made the bundle, run it: --trust" in capsys.readouterr().err
    with pytest.raises(UntrustedError, match=r"tflite and onnx can do nothing.*run it: trust=True"):
        export.load(forged, "saved_model")
    assert not target.exists()
    # So it can be seen that the rest of the test is right: trusted, it does run.
    assert main(["check", str(forged), "--trust"]) == 2
    assert target.read_text() == "written"


def test_a_bundle_that_is_a_savedmodel_alone_is_not_chosen_by_default(forged, of_a_stranger):
    def change(manifest):
        manifest["variants"] = [v for v in manifest["variants"] if v["format"] == "saved_model"]
        manifest["parity"]["variants"] = []

    edit(forged, change)
    with pytest.raises(UntrustedError, match="write files on your computer. If you know"):
        export.load(forged)
    assert export.load(forged, trust=True).format == "saved_model"
    assert main(["check", str(forged)]) == 2


def test_what_this_process_exported_is_trusted_as_long_as_it_is_that(tmp_path):
    folder = tmp_path / "b"
    export.export(randomize_weights(make_models()["mood"], 4), folder, ["saved_model"])
    assert export.load(folder, "saved_model").classify_text("a film")
    moved = shutil.copytree(folder, tmp_path / "c")
    assert export.load(moved).format == "saved_model"
    write_evil_saved_model(folder, tmp_path / "written")
    with pytest.raises(UntrustedError):
        export.load(folder)
    (moved / "saved_model" / "saved_model.pbtxt").write_text("")
    with pytest.raises(UserError, match=r"saved_model.pbtxt is not in the manifest's list"):
        export.load(moved)


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "tokenizer.json", "parity.npz", "onnx/classify.onnx", "tflite/model.tflite"],
)
@pytest.mark.parametrize("kind", ["pipe", "outside", "inside", "device"])
def test_only_regular_files_inside_the_bundle_are_opened(forged, tmp_path, name, kind, capsys):
    path = forged / name
    content = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        target = (tmp_path if kind == "outside" else forged) / "other"
        target.write_bytes(content)
        path.symlink_to(target)
    statuses = [main([command, str(forged)]) for command in ("check", "inspect")]
    assert statuses == ([0, 0] if kind == "inside" else [2, 2])
    words = {"pipe": "is a pipe", "outside": "outside the bundle", "device": "outside the"}
    assert words.get(kind, "") in capsys.readouterr().err


def set_location(path, location):
    """Lets the shared weights of an ONNX file be in another file."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "weights.bin/../../secret", "unlisted"]
)
def test_weights_outside_the_list_are_refused(forged, tmp_path, location):
    for folder in (tmp_path, forged / "onnx"):
        (folder / ("secret" if folder is tmp_path else "unlisted")).write_bytes(bytes(1 << 16))
    path = forged / "onnx" / "classify.onnx"
    set_location(path, location)
    assert list_external(path) == {location}

    def change(manifest):
        for variant in manifest["variants"]:
            variant["bytes"] = sum((forged / name).stat().st_size for name in variant["files"])

    edit(forged, change)
    with pytest.raises(UserError, match="not in the manifest's list of its files"):
        export.load(forged, "onnx").classify([[1, 2]])
    assert main(["check", str(forged)]) == 2


def test_external_weights_are_found_wherever_they_are(tmp_path):
    """In bodies of loops, attributes, functions and sparse tensors, in any order of fields."""
    from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

    def tensor(location):
        made = TensorProto(name="location", data_location=TensorProto.EXTERNAL)
        for key, value in (("offset", "0"), ("location", location)):
            made.external_data.add(key=key, value=value)
        return made

    model = ModelProto(ir_version=9, producer_name="location")
    model.graph.initializer.append(tensor("a"))
    node = model.graph.node.add(op_type="Loop", input=["location"])
    body = GraphProto(name="body")
    body.initializer.append(tensor("b"))
    inner = body.node.add(op_type="If")
    inner.attribute.append(AttributeProto(name="t", type=AttributeProto.TENSOR, t=tensor("c")))
    inner.attribute.append(AttributeProto(name="l", tensors=[tensor("d")]))
    node.attribute.append(AttributeProto(name="g", g=body))
    node.attribute.append(AttributeProto(name="gs", graphs=[body]))
    model.graph.sparse_initializer.add(values=tensor("e"), indices=tensor("f"))
    function = model.functions.add(name="f")
    function.node.add(op_type="Constant").attribute.append(AttributeProto(name="t", t=tensor("g")))
    model.training_info.add().algorithm.initializer.append(tensor("h"))
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert list_external(path) == set("abcdefgh")
    content = path.read_bytes()
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end] + b"location")
        with contextlib.suppress(ValueError):
            assert list_external(path) <= set("abcdefgh")


def test_custom_operators_are_refused(forged):
    """An operator's number in the file becomes that of a custom one, with a name."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    path = forged / "tflite" / "model.tflite"
    assert find_foreign(path) == []
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].customCode = b"FlexWriteFile"
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))

    def change(manifest):
        variant = next(v for v in manifest["variants"] if v["format"] == "tflite")
        variant["bytes"] = path.stat().st_size

    edit(forged, change)
    assert find_foreign(path) == ["the operator FlexWriteFile"]
    with pytest.raises(UserError, match="needs the operator FlexWriteFile"):
        export.load(forged, "tflite")
    assert main(["check", str(forged)]) == 2


def test_any_damage_of_a_tflite_file_is_seen_by_the_reader(small, tmp_path):
    content = (small / "tflite" / "model.tflite").read_bytes()
    draw = random.Random(0)
    for _ in range(300):
        damaged = bytearray(content[: draw.choice((len(content), draw.randrange(8, 400)))])
        for _ in range(3):
            place = draw.randrange(min(len(damaged), 2000) - 4)
            struct.pack_into("<I", damaged, place, draw.choice((0, 1, 2**31, 2**32 - 1, place)))
        (tmp_path / "m").write_bytes(damaged)
        with contextlib.suppress(ValueError):
            assert isinstance(find_foreign(tmp_path / "m"), list)


def test_texts_of_a_bundle_are_escaped(forged, capsys):
    evil = "\x1b]0;title\x07\x1b[2Jgood\x9b2J\u202e"
    edit(forged, lambda manifest: manifest.update(labels=["bad", evil], backbone=evil))
    for command in ("inspect", "check"):
        assert main([command, str(forged)]) == 0
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert r"\x1b[2Jgood\x9b2J\u202e" in printed.out


def test_labels_with_escapes_are_refused_before_an_export(tmp_path):
    model = make_models()["mood"]
    model.labels = ["bad", "\x1b[2Jgood"]
    with pytest.raises(UserError, match="labels.* has the control character"):
        export.export(model, tmp_path / "b", ["onnx"])
    assert not (tmp_path / "b").exists()


def test_a_reference_that_would_fill_the_memory_is_refused(forged, monkeypatch, capsys):
    """Compressed zeros: 64 MB of one in 64 kB; the limit is lowered for it."""
    monkeypatch.setattr("export.parity.MAX_REFERENCE_BYTES", 1 << 20)
    arrays = {"classify/inputs/token_ids": np.zeros((1 << 24,), "int32")}
    np.savez_compressed(forged / "parity.npz", **arrays)
    assert (forged / "parity.npz").stat().st_size < 1 << 17
    rehash(forged)
    assert main(["check", str(forged)]) == 2
    assert "are more than" in capsys.readouterr().err


def test_a_tokenizer_that_is_none_is_a_sentence(forged):
    for content in ("{}", "[" * 100_000, '{"version": "1.0", "model": 5}', "\ud7ff"):
        (forged / "tokenizer.json").write_text(content, "utf-8")
        rehash(forged)
        with pytest.raises(UserError, match="is no tokenizer that can be read"):
            export.load(forged, "onnx").tokenize(["a"])
