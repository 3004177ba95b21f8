"""`.npz` files that anybody may have written."""

import io
import zipfile

import numpy as np
import pytest

from keras_seq.data.arrays import read_arrays
from keras_seq.errors import UserError


def header(shape, kind="<f4"):
    file = io.BytesIO()
    text = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, text)
    return file.getvalue()


def write(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_arrays_are_read(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.zeros(10**6, "float32"), "c": np.array("x")}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


def test_a_file_cannot_fill_the_memory(tmp_path):
    for shape in ((10**12,), (10**6, 10**6)):
        with pytest.raises(UserError, match="made to fill the memory"):
            read_arrays(write(tmp_path / "a.npz", a=header(shape) + b"\0" * 100))
    with pytest.raises(UserError, match="made to fill the memory"):
        read_arrays(write(tmp_path / "b.npz", a=header((75_000_000,)) + b"\0" * 300_000_000))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\0", b"x" * 100])
def test_what_is_no_npz(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as an \.npz file"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "member",
    [b"", b"text", header((3,))[:20], header((3,)) + b"\0", header((-3,)), header((3,), "O")],
)
def test_what_is_no_array(tmp_path, member):
    with pytest.raises(UserError, match=r"a\.npz"):
        read_arrays(write(tmp_path / "a.npz", a=member))


def test_any_bit_that_flips_is_an_error_or_changes_nothing(tmp_path):
    rng = np.random.default_rng(0)
    array = rng.normal(size=200)
    np.savez(tmp_path / "a.npz", a=array)
    content = (tmp_path / "a.npz").read_bytes()
    for place in rng.integers(0, len(content), 200):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        (tmp_path / "b.npz").write_bytes(changed)
        try:
            found = read_arrays(tmp_path / "b.npz")
        except UserError:
            continue
        for value in found.values():
            np.testing.assert_array_equal(value, array)
