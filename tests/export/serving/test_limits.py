"""Limits of what clients may hold and ask for, and that others are answered meanwhile."""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time

import httpx
import numpy as np
import pytest
import tritonclient.grpc

import export
from export import bundle
from tests.export.serving.test_faults import body

OPTIONS = ["--body-timeout", 1, "--idle-timeout", 1, "--max-connections", 20, "--max-rows", 50]
INFER = "/v2/models/mood/infer"


@pytest.fixture(scope="module")
def limited(served, serving):
    options = [*OPTIONS, "--max-memory", 16_000_000, "--max-prompts", 3, "--max-stops", 2]
    with serving(served / "mood", served / "bard", options=options) as server:
        yield server


def connect(server):
    return socket.create_connection(("127.0.0.1", server.http_port), timeout=30)


def read_all(connection):
    found = b""
    with contextlib.suppress(OSError):
        while part := connection.recv(65_536):
            found += part
    return found


def assert_serves(server):
    assert httpx.post(server.url + INFER, json=body("fine")).status_code == 200


HEADS = {
    "nothing": b"",
    "half a head": b"POST /v2/models/mood/infer HTTP/1.1\r\nHost: x\r\nX-",
    "half a body": b"POST /v2/models/mood/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
}


@pytest.mark.parametrize("sent", HEADS)
def test_what_never_ends_is_ended(limited, sent):
    with connect(limited) as connection:
        connection.sendall(HEADS[sent])
        found = read_all(connection)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"must arrive in 1 s (--body-timeout)" in found


def test_a_head_of_any_size_is_cut(limited):
    with connect(limited) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-Large: ")
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                connection.sendall(b"a" * 65_536)
        assert read_all(connection).startswith((b"HTTP/1.1 431 ", b""))
    assert_serves(limited)


def test_more_connections_than_there_may_be(limited):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(limited)) for _ in range(20)]
        time.sleep(0.2)
        with connect(limited) as one_more:
            assert b"503" in read_all(one_more).split(b"\r\n")[0]
        del held
    assert_serves(limited)


def test_many_requests_on_one_connection(limited):
    """A client that does not wait for answers gets those before the limit, or an error."""
    with connect(limited) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000)
        read_all(connection)
    assert_serves(limited)


def test_rows_prompts_and_stops_have_limits(limited):
    rows = httpx.post(limited.url + INFER, json=body(*["a"] * 51))
    assert rows.status_code == 413
    assert "at most 50 rows (--max-rows). Received: 51" in rows.json()["error"]
    for name, value, words in (
        ("prompt", ["a"] * 4, "at most 3 prompts (--max-prompts). Received: 4"),
        ("stop", ["a"] * 3, "at most 2 stop texts (--max-stops). Received: 3"),
    ):
        asked = {"model": "bard", "max_tokens": 1, name: value}
        found = httpx.post(limited.url + "/openai/v1/completions", json=asked)
        assert found.status_code == 413
        error = found.json()["error"]
        assert words in error["message"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "413")


def test_an_answer_that_would_be_too_large_is_not_computed(served, serving):
    """A few bytes ask for the states of many rows: refused by HTTP and gRPC before they run."""
    with serving(served / "bard", options=["--max-memory", 16_000_000]) as server:
        tensors = [
            {"name": "token_ids", "datatype": "INT32", "shape": [3_000, 1], "data": [5] * 3_000},
            {"name": "length", "datatype": "INT32", "shape": [3_000], "data": [1] * 3_000},
        ]
        path = server.url + "/v2/models/bard.prefill/infer"
        found = httpx.post(path, json={"inputs": tensors})
        assert found.status_code == 413
        assert "(--max-memory)" in found.json()["error"]
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
            inputs = []
            for tensor in tensors:
                one = tritonclient.grpc.InferInput(tensor["name"], tensor["shape"], "INT32")
                one.set_data_from_numpy(np.int32(tensor["data"]).reshape(tensor["shape"]))
                inputs.append(one)
            with pytest.raises(tritonclient.utils.InferenceServerException) as error:
                client.infer("bard.prefill", inputs)
        assert "RESOURCE_EXHAUSTED" in error.value.status()
        assert "(--max-memory)" in str(error.value)
        tensors = [{**t, "shape": [2, *t["shape"][1:]], "data": t["data"][:2]} for t in tensors]
        assert httpx.post(path, json={"inputs": tensors}).status_code == 200


def test_bodies_together_have_a_limit(limited):
    """Slow clients hold so much, others are refused, and small requests are answered."""
    head = b"POST /v2/models/mood/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
    answers = []

    def hold():
        with connect(limited) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(head + b" " * 8_000_000)
            answers.append(read_all(connection)[9:12])

    threads = [threading.Thread(target=hold) for _ in range(5)]
    [thread.start() for thread in threads]
    time.sleep(0.3)
    assert_serves(limited)
    [thread.join() for thread in threads]
    assert set(answers) <= {b"503", b"408", b""}
    assert b"503" in answers
    assert_serves(limited)


def test_a_client_that_does_not_read_is_given_up(limited):
    """Its answer is large; after a while its connection is closed and nothing is held for it."""
    data = json.dumps(body(*["a"] * 50)).encode() + b" " * 100
    head = (
        b"POST /v2/models/bard.prefill_text/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(("127.0.0.1", limited.http_port))
            stack.enter_context(connection)
            connection.sendall(head % len(data) + data)
        deadline = time.monotonic() + 30
        while "keras_seq_requests_in_flight" in (rows := httpx.get(limited.url + "/metrics").text):
            waiting = [line for line in rows.splitlines() if 'in_flight{protocol="http"}' in line]
            if float(waiting[0].split()[1]) <= 1:  # this very question
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert_serves(limited)


def test_a_proposal_of_http_2_is_answered_by_http_1(limited):
    """As curl and Java's client send it, with a body."""
    command = ["curl", "--silent", "--http2", limited.url + INFER, "--data", "@-"]
    text = json.dumps(body("fine"))
    found = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert json.loads(found.stdout)["outputs"][0]["name"] == "probabilities"


def test_zero_rows(limited):
    answer = httpx.post(limited.url + INFER, json=body()).json()
    assert [output["data"] for output in answer["outputs"]] == [[], []]


def test_the_end_comes_within_the_grace(served, serving):
    """Also while a request runs that would take much longer."""
    with serving(served / "bard", options=["--grace", 1, "--max-batch", 1]) as server:
        texts = body(*["To be"] * 5_000)
        asking = threading.Thread(
            target=lambda: httpx.post(server.url + "/v2/models/bard/infer", json=texts, timeout=60)
        )
        with contextlib.suppress(httpx.HTTPError):
            asking.start()
        time.sleep(1.0)
        start = time.monotonic()
        server.process.terminate()
        assert server.process.wait(timeout=30) == 0
        assert time.monotonic() - start < 15  # It would take minutes.


def test_a_text_ends_in_the_model_it_began_with(served, serving, tmp_path):
    """A stream that runs while other weights are loaded goes on with the old ones."""
    path = tmp_path / "bard"
    shutil.copytree(served / "bard", path)
    asked = {"model": "bard", "prompt": "To be", "seed": 3, "temperature": 0.9, "stream": True}

    def write():
        with httpx.stream("POST", server.url + "/openai/v1/completions", json=asked) as response:
            lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
        return "".join(json.loads(line)["choices"][0]["text"] for line in lines[:-1])

    with serving(path) as server:
        alone = write()
        found, stop = [], threading.Event()

        def keep_writing():
            while not stop.is_set():
                found.append(write())

        threads = [threading.Thread(target=keep_writing) for _ in range(3)]
        [thread.start() for thread in threads]
        for _ in range(10):
            assert httpx.post(f"{server.url}/v2/repository/models/bard/load").status_code == 200
        stop.set()
        [thread.join() for thread in threads]
    assert set(found) == {alone}


def test_what_other_servers_have_is_answered_in_the_protocol(limited):
    address = f"127.0.0.1:{limited.grpc_port}"
    with tritonclient.grpc.InferenceServerClient(address) as client:
        names = {model.name for model in client.get_model_repository_index().models}
        assert {"mood", "mood.classify_text", "bard"} <= names
        client.load_model("mood")
        for call in (
            client.get_system_shared_memory_status,
            client.get_trace_settings,
            client.get_log_settings,
            client.get_inference_statistics,
        ):
            with pytest.raises(tritonclient.utils.InferenceServerException) as error:
                call()
            assert "UNIMPLEMENTED" in error.value.status()
            assert "This server has no" in error.value.message()
    index = httpx.post(limited.url + "/v2/repository/index", json={"ready": True}).json()
    assert {model["name"] for model in index} == names
    for path in ("systemsharedmemory/status", "trace/setting", "logging"):
        found = httpx.get(f"{limited.url}/v2/{path}")
        assert found.status_code == 404
        assert found.json()["error"].startswith("This server has no ")


def test_a_bundle_of_another_contract_is_not_loaded(served, serving, tmp_path):
    """An output that is renamed, or another limit: refused with 503, and what was open stays."""
    path = tmp_path / "mood"
    shutil.copytree(served / "mood", path)
    manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    with serving(path) as server:
        manifest["limits"]["max_length"] += 1
        manifest["sha256"] = bundle.hash_manifest(manifest)
        (path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        refused = httpx.post(server.url + "/v2/repository/models/mood/load")
        assert refused.status_code == 503
        assert "has other limits than the model that is served" in refused.json()["error"]
        assert_serves(server)
    assert export.load(served / "mood", "onnx").labels
