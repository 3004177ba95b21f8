"""The server opens its own copy: whatever happens to the bundle, its answers stay what they were."""

import shutil

import numpy as np
import pytest

from export import bundle
from export.serving import copies
from export.serving.copies import open_copy
from keras_seq.errors import UserError


def overwrite(path):
    content = path.read_bytes()
    with path.open("r+b") as file:  # in place, not a new file
        file.write(bytes(byte ^ 255 for byte in content))


def cut(path):
    with path.open("r+b") as file:
        file.truncate(10)


@pytest.mark.parametrize("change", [overwrite, cut])
def test_changes_in_place_change_nothing(served, tmp_path, change):
    folder = shutil.copytree(served / "bard", tmp_path / "bard")
    (tmp_path / "cache").mkdir()
    loaded = open_copy(folder, 1, tmp_path / "cache")
    assert not any((tmp_path / "cache").iterdir())
    inputs = {"max_new_tokens": 8, "temperature": 0.0}
    before = loaded.generate_text(["ROMEO:"], **inputs)
    for name in bundle.read_manifest(folder)["files"]:
        change(folder / name)
    after = loaded.generate_text(["ROMEO:"], **inputs)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    assert loaded.count_tokens("ROMEO:") == 6
    assert str(folder) in repr(loaded)
    with pytest.raises(UserError, match="is not the file that was exported"):
        open_copy(folder, 1, tmp_path / "cache")
    assert not any((tmp_path / "cache").iterdir())


def test_the_weights_are_mapped_and_not_held_in_memory(served, tmp_path):
    """The mapped file is the copy, which has no name any more."""
    loaded = open_copy(served / "bard", 1, tmp_path)
    with open("/proc/self/maps", encoding="utf-8") as file:
        mapped = [line for line in file if str(tmp_path) in line]
    assert all(line.rstrip().endswith("weights.bin (deleted)") for line in mapped)
    assert mapped
    del loaded


def test_where_copies_are_made(tmp_path, monkeypatch, served):
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(copies, "DISK", tmp_path)
    assert copies.choose_cache_dir() == tmp_path
    monkeypatch.setenv("TMPDIR", str(tmp_path / "other"))
    assert copies.choose_cache_dir() != tmp_path
    with pytest.raises(UserError, match=r"cannot be made in .*none: .* cache_dir=FOLDER"):
        open_copy(served / "bard", 1, tmp_path / "none")
