"""Files of any kind: what is no file is refused at once, and what is no text by what it is."""

import gzip
import os
import socket
import subprocess
import sys

import pytest

from keras_seq.cli import main
from keras_seq.errors import UserError
from keras_seq.files import parse_json, read_bytes, read_json, read_utf8
from keras_seq.tasks import load_corpus
from keras_seq.tasks.loading import load_model


@pytest.fixture
def specials(tmp_path):
    """Paths that name no file, by what they are."""
    os.mkfifo(tmp_path / "pipe.csv")
    unix = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)  # The path of a socket is short.
    unix.bind("socket.csv")
    os.chdir(here)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    yield {
        "a pipe": tmp_path / "pipe.csv",
        "a socket": tmp_path / "socket.csv",
        "a folder": tmp_path / "folder.csv",
        "a device": tmp_path / "zero.csv",
    }
    unix.close()


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a folder", "a device"])
def test_what_is_no_file_is_refused_at_once(specials, kind):
    path = specials[kind]
    for read in (read_bytes, read_utf8):
        with pytest.raises(UserError, match=kind):
            read(path)
    for task, name in (("classify", path), ("translate", path), ("translate", f"{path},{path}")):
        with pytest.raises(UserError, match=kind):
            load_corpus(task, name)
    if kind != "a folder":  # of texts
        with pytest.raises(UserError, match=kind):
            load_corpus("generate", path)
        with pytest.raises(UserError, match=kind):
            load_model(path)


@pytest.mark.parametrize("options", [["train", "classify", "--data"], ["predict"]])
def test_a_pipe_of_the_shell_is_refused(options, capsys):
    """`<(…)` is a pipe: a run reads its data again, and a model is read in places."""
    reader, writer = os.pipe()
    try:
        assert (
            main([*options, f"/dev/fd/{reader}", *(["text"] if options == ["predict"] else [])])
            == 2
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert "is a pipe" in capsys.readouterr().err or options != ["predict"]


def test_a_sample_and_an_imported_file_may_be_no_pipe(specials):
    from keras_seq.data.arrays import read_arrays
    from keras_seq.tasks.loading.imports import import_files

    pipe = specials["a pipe"].rename(specials["a pipe"].with_suffix(".py"))
    for read in (read_arrays, lambda path: import_files([str(path)])):
        with pytest.raises(UserError, match="is a pipe"):
            read(pipe)


def test_standard_input_is_read_by_predict(monkeypatch):
    done = subprocess.run(
        [sys.executable, "-c", "from keras_seq.cli import predict as p; print(p._read_input())"],
        input=b"\xef\xbb\xbfone\ntwo\r\n",
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == "['one', 'two']"


def test_a_line_of_standard_input_has_a_limit():
    code = "from keras_seq.cli import predict as p\ntry: p._read_input()\nexcept Exception as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"a\n" + b"x" * 10_000_001,
        capture_output=True,
        check=True,
    )
    assert b"line 2: it has more than 10,000,000 characters" in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"text,label\n" * 20), "gunzip"),
        (b"PK\x03\x04\x14\x00\x00\x00", "ZIP"),
        (b"PAR1\x15\x04\x15\x00", "Parquet"),
        ("text,label\na,b\n".encode("utf-16"), "UTF-16"),
        ("text,label\na,b\n".encode("utf-16-le"), "line 1: there is a zero byte"),
        (b"text,label\na,b\nc\0,d\n", "line 3: there is a zero byte"),
        (b"\xef\xbb\xbftext\n\n\xe9", "line 3: byte 0xe9"),
        (b" \n\n", "is empty"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, words):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_utf8(path)


@pytest.mark.parametrize("text", ["PK is what ZIP begins with", "BZh, PAR1", "%PDF as a word"])
def test_a_text_may_begin_as_another_file_does(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert read_utf8(tmp_path / "a.txt") == text


def test_a_file_has_a_limit_and_is_not_read_beyond_it(tmp_path):
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**40)  # It has no blocks on the disk.
    with pytest.raises(UserError, match="1,099,511,627,776 bytes, and 2,147,483,648"):
        read_utf8(tmp_path / "large.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5000, "more than 4,300 digits"),
        ("{", "Expecting"),
    ],
)
def test_json_says_what_is_wrong(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        parse_json(text)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=f"damaged: .*{words}.* Train again"):
        read_json(tmp_path / "a.json", "Train again.")


def test_json_of_settings_is_an_object(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(UserError, match="no JSON object"):
        read_json(tmp_path / "a.json", "Train again.")
