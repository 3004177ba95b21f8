import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from keras_seq.data.download import RemoteFile, locate
from keras_seq.errors import UserError

CONTENT = b"a sentence\t1\n" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A real server with the file; no data folder, an empty cache."""
    monkeypatch.delenv("KERAS_SEQ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "f.tsv").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "www"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/f.tsv"
    server.shutdown()
    thread.join()
    server.server_close()


def test_downloads_once(url, tmp_path):
    file = RemoteFile("set/f.tsv", url, SHA256)
    path = locate(file)
    assert path.read_bytes() == CONTENT
    (tmp_path / "www" / "f.tsv").unlink()
    assert locate(file) == path


def test_other_content_is_refused_and_not_kept(url, tmp_path):
    with pytest.raises(UserError, match=SHA256):
        locate(RemoteFile("set/f.tsv", url, "0" * 64))
    assert not list((tmp_path / "cache").rglob("*.tsv"))


def test_no_network_says_where_to_put_the_file(url):
    with pytest.raises(UserError, match=r"(?s)set/f\.tsv.*data_dir.*KERAS_SEQ_DATA"):
        locate(RemoteFile("set/f.tsv", url.replace("f.tsv", "gone.tsv"), SHA256))


def test_data_dir_then_variable(url, tmp_path, monkeypatch):
    for name in ("given", "variable"):
        (tmp_path / name / "set").mkdir(parents=True)
        (tmp_path / name / "set" / "f.tsv").write_bytes(CONTENT)
    monkeypatch.setenv("KERAS_SEQ_DATA", str(tmp_path / "variable"))
    file = RemoteFile("set/f.tsv", url, SHA256)
    assert locate(file, tmp_path / "given") == tmp_path / "given" / "set" / "f.tsv"
    assert locate(file) == tmp_path / "variable" / "set" / "f.tsv"


def test_damaged_copy_is_refused(url, tmp_path):
    (tmp_path / "given" / "set").mkdir(parents=True)
    (tmp_path / "given" / "set" / "f.tsv").write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match="Remove this copy"):
        locate(RemoteFile("set/f.tsv", url, SHA256), tmp_path / "given")
