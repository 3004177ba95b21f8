"""A server of small bundles in a process of its own."""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


class Server:
    """A running server: its process, its ports, and what it says."""

    def __init__(self, process, log):
        self.process, self._log = process, log
        deadline = time.monotonic() + 60
        while not (found := re.search(r"127\.0\.0\.1:(\d+), gRPC on port (\d+)", self.log)):
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        self.http_port, self.grpc_port = map(int, found.groups())
        self.url = f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self):
        return self._log.read_text("utf-8")


@contextlib.contextmanager
def running(*bundles, options=()):
    """A server of `bundles` while the `with` block runs."""
    command = [sys.executable, "-m", "export", "serve", *map(str, bundles)]
    command += ["--http-port", "0", "--grpc-port", "0", *map(str, options)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        try:
            yield Server(process, log)
        finally:
            process.kill()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def serving():
    """A context manager, which takes bundles and options: a server while its block runs."""
    return running


@pytest.fixture(scope="module")
def server(served):
    with running(*(served / name for name in ("mood", "bard", "en-de"))) as server:
        yield server
