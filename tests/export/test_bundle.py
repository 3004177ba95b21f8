import json
import os
import time

import pytest

from export import bundle
from keras_seq.errors import UserError


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


def test_folder_appears_when_whole(tmp_path):
    with bundle.new_folder(tmp_path / "a" / "b") as folder:
        write(folder, x="1")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "x").read_text() == "1"
    assert os.listdir(tmp_path / "a") == ["b"]


A_BUNDLE = {"b__manifest.json": '{"schema_version": 2}'}  # Other folders are not replaced.


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_error_leaves_what_was_there(tmp_path, error):
    write(tmp_path, b__x="old", **A_BUNDLE)
    with pytest.raises(error if isinstance(error, type) else OSError):
        with bundle.new_folder(tmp_path / "b", overwrite=True) as folder:
            write(folder, x="new")
            raise error
    assert (tmp_path / "b" / "x").read_text() == "old"
    assert os.listdir(tmp_path) == ["b"]


def test_overwrite_replaces_the_whole_folder(tmp_path):
    write(tmp_path, b__x="old", b__y="old", **A_BUNDLE)
    with bundle.new_folder(tmp_path / "b", overwrite=True) as folder:
        write(folder, x="new")
    assert os.listdir(tmp_path / "b") == ["x"]
    assert os.listdir(tmp_path) == ["b"]


def test_a_folder_of_the_users_is_never_replaced(tmp_path, monkeypatch):
    write(tmp_path, thesis__text="mine", b__x="old", **A_BUNDLE)
    with pytest.raises(UserError, match=r"thesis would be deleted.*holds files of yours"):
        bundle.refuse_existing(tmp_path / "thesis", True)
    write(tmp_path, **{"site__manifest.json": '{"name": "a page"}', "site__config.json": "[]"})
    with pytest.raises(UserError, match=r"site would be deleted.*holds files of yours"):
        bundle.refuse_existing(tmp_path / "site", True)
    monkeypatch.chdir(tmp_path / "b")
    for here in ("", ".", tmp_path / "b"):
        with pytest.raises(UserError, match="b would be deleted, and it is where you work"):
            bundle.refuse_existing(here, True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="would be deleted"):
        bundle.refuse_existing("", True)
    bundle.refuse_existing(tmp_path / "b", True)


def test_full_folder_and_file_are_refused(tmp_path):
    write(tmp_path, b__x="old", file="old")
    with pytest.raises(UserError, match="overwrite=True"), bundle.new_folder(tmp_path / "b"):
        pass
    with pytest.raises(UserError, match="is a file"), bundle.new_folder(tmp_path / "file", True):
        pass
    (tmp_path / "empty").mkdir()
    with bundle.new_folder(tmp_path / "empty") as folder:
        write(folder, x="1")
    assert (tmp_path / "empty" / "x").exists()


def test_killed_between_the_two_renames_loses_nothing(tmp_path):
    """The old bundle moved aside, the process gone: the next export puts it back first."""
    write(tmp_path, **{".b.partial-1__x": ""})
    (tmp_path / ".b.partial-1" / "old").mkdir()
    write(tmp_path / ".b.partial-1" / "old", x="old")
    with pytest.raises(UserError, match="did not"), bundle.new_folder(tmp_path / "b", True):
        raise UserError("did not work")
    assert (tmp_path / "b" / "x").read_text() == "old"


def test_old_remains_are_removed_and_young_ones_kept(tmp_path):
    for name in (".b.partial-old", ".b.partial-young"):
        (tmp_path / name).mkdir()
    then = time.time() - 2 * bundle.ABANDONED_AFTER_SECONDS
    os.utime(tmp_path / ".b.partial-old", (then, then))
    with bundle.new_folder(tmp_path / "b"):
        pass
    assert sorted(os.listdir(tmp_path)) == [".b.partial-young", "b"]


MODEL = "tflite/model.tflite"
TEXT = {"name": "text", "dtype": "uint8", "shape": ["B", "L"]}
CONTENT = {
    "task": "classify",
    "backbone": "lstm",
    "parameters": 5,
    "labels": ["bad", "good"],
    "tokenizer": "tokenizer.json",
    "entry": {"signature": "classify_text", "interactive": ["classify_text"], "defaults": {}},
    "limits": {"max_bytes": 20},
    "dimensions": {"L": "max_bytes"},
    "signatures": {
        "classify_text": {
            "inputs": [TEXT, {"name": "length", "dtype": "int32", "shape": ["B"]}],
            "outputs": [{"name": "probabilities", "dtype": "float32", "shape": ["B", 2]}],
        }
    },
    "variants": [
        {"format": "tflite", "precision": "float32", "files": [MODEL], "sizes": {}, "bytes": 5}
    ],
}


@pytest.fixture
def whole(tmp_path):
    write(tmp_path, **{"tflite__model.tflite": "model", "tokenizer.json": "{}"})
    bundle.write_manifest(tmp_path, CONTENT)
    return tmp_path


def test_manifest_names_every_other_file(whole):
    manifest = bundle.read_manifest(whole)
    assert sorted(manifest["files"]) == ["tflite/model.tflite", "tokenizer.json"]
    assert manifest["files"]["tokenizer.json"]["bytes"] == 2
    bundle.verify(whole, manifest)


@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_changed_file_is_named(whole, change):
    path = whole / "tflite" / "model.tflite"
    if change == "remove":
        path.unlink()
    else:
        path.write_text({"flip": "modeL", "cut": "mode"}[change])
    with pytest.raises(UserError, match=r"tflite/model\.tflite"):
        bundle.verify(whole, bundle.read_manifest(whole))


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "tflite/../../secret"])
def test_paths_out_of_the_bundle_are_refused(whole, name):
    manifest = json.loads((whole / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    with pytest.raises(UserError, match="outside the bundle"):
        bundle.verify(whole, manifest)


def test_no_bundle_damaged_manifest_other_version(whole, tmp_path):
    with pytest.raises(UserError, match="is not a bundle"):
        bundle.read_manifest(tmp_path / "nothing")
    path = whole / "manifest.json"
    content = path.read_text()
    deep = content.replace('"labels": [', '"labels": [' + "[" * 100_000, 1)
    whole_lists = deep.replace('"bad"', '"bad"' + "]" * 100_000, 1)
    texts = (content[:50], "[]", "{}", "3", content.replace("classify", "classifx"))
    for damaged in (*texts, deep, whole_lists, content.replace("5,", "NaN,", 1), content + "x"):
        path.write_text(damaged)
        with pytest.raises(UserError, match="is damaged"):
            bundle.read_manifest(whole)
    path.write_text(content.replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(UserError, match="99"):
        bundle.read_manifest(whole)
