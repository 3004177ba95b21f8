"""More than there is capacity for, clients that leave, damaged bundles, and the end."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest
import tritonclient.grpc

import export
from tests.export.helpers import copy_with_schema_1

TEXTS = [f"A film{'!' * (i % 30)} number {i}" for i in range(1_000)]


def body(*texts):
    given = {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}
    return {"inputs": [given]}


def answer(response):
    return {output["name"]: output["data"] for output in response.json()["outputs"]}


async def posted(url, requests, at_once=200):
    """Responses to (path, JSON) pairs, so many at once."""
    limits = httpx.Limits(max_connections=at_once)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as client:
        return await asyncio.gather(*(client.post(path, json=data) for path, data in requests))


@pytest.mark.slow
def test_a_thousand_at_once_are_answered_as_alone(server, served):
    mood, bard = (export.load(served / name, "onnx") for name in ("mood", "bard"))
    requests, expected = [], []
    for i, text in enumerate(TEXTS):
        if i % 4:
            requests.append(("/v2/models/mood/infer", body(text)))
            expected.append(mood.classify_text([text])["probabilities"][0].tolist())
        else:
            requests.append(("/v2/models/bard/infer", {**body(text), "parameters": {"seed": i}}))
            found = bard.generate_text([text], seed=i)
            content = found["text"][0, : found["length"][0]].tobytes()
            expected.append([content.decode("utf-8", "replace")])
    responses = asyncio.run(posted(server.url, requests, 1_000))
    failed = [r for r in responses if r.status_code not in (200, 503)]
    assert not failed, failed[0].text
    answered = 0
    for response, wanted in zip(responses, expected, strict=True):
        if response.status_code == 503:
            assert "Ask again later" in response.json()["error"]
            continue
        answered += 1
        found = answer(response)
        if "probabilities" in found:
            assert np.float32(found["probabilities"]).tolist() == wanted
        else:
            assert found["text"] == wanted
    assert answered >= 500
    rows = httpx.get(server.url + "/metrics").text
    counts = [line for line in rows.splitlines() if line.startswith("keras_seq_batch_rows_")]
    total = sum(float(line.split()[1]) for line in counts if "_sum{" in line)
    calls = sum(float(line.split()[1]) for line in counts if "_count{" in line)
    assert total > 1.5 * calls  # They ran together.


BAD = {
    "no JSON": ("/v2/models/mood/infer", b"{", 400, "its JSON cannot be read"),
    "nothing": ("/v2/models/mood/infer", b"", 400, ""),
    "a list": ("/v2/models/mood/infer", b"[1]", 400, ""),
    "no inputs": ("/v2/models/mood/infer", b"{}", 400, "inputs"),
    "fewer values": (
        "/v2/models/mood/infer",
        json.dumps(
            {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [3], "data": ["a"]}]}
        ),
        400,
        "does not hold BYTES of the shape [3]",
    ),
    "a lone surrogate": (
        "/v2/models/mood/infer",
        b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["\\ud800"]}]}',
        400,
        "surrogate",
    ),
    "another writer": (
        "/openai/v1/completions",
        b'{"model": "mood"}',
        400,
        "that generate text here: bard",
    ),
    "too many tokens": (
        "/openai/v1/completions",
        b'{"model": "bard", "max_tokens": 9999}',
        400,
        "max_tokens is from 1 to the 24",
    ),
    "a negative temperature": (
        "/openai/v1/completions",
        b'{"model": "bard", "temperature": -1}',
        422,
        "temperature",
    ),
    "numbers for texts": (
        "/v2/models/mood/infer",
        b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [1]}]}',
        400,
        "Value 0 is not a string, but 1",
    ),
    "a seed that is none": (
        "/v2/models/bard/infer",
        json.dumps({**body("a"), "parameters": {"seed": "x"}}).encode(),
        400,
        "seed is a whole number",
    ),
    "parameters that are none": (
        "/v2/models/mood/infer",
        json.dumps({**body("a"), "parameters": [1]}).encode(),
        400,
        "parameters",
    ),
    "an endless temperature": (
        "/openai/v1/completions",
        b'{"model": "bard", "temperature": 1e999}',
        422,
        "temperature",
    ),
    "no temperature": (
        "/openai/v1/completions",
        b'{"model": "bard", "temperature": NaN}',
        422,
        "temperature",
    ),
    "more texts than one": (
        "/openai/v1/completions",
        b'{"model": "bard", "n": 2}',
        422,
        "n: Input should be 1",
    ),
    "unloading": (
        "/v2/repository/models/mood/unload",
        b"",
        400,
        "until the server stops",
    ),
    "loading what is not there": ("/v2/repository/models/nobody/load", b"", 404, "nobody"),
    "no such path": ("/v2/nothing", b"{}", 404, "POST /v2/models/NAME/infer"),
    "the path of another API": ("/v1/completions", b"{}", 404, "mean POST /openai/v1/completions?"),
    "the first version": (
        "/v1/models/mood:predict",
        b"{}",
        404,
        "mean POST /v2/models/NAME/infer?",
    ),
    "a method that is not": ("/v2/models/mood", b"{}", 405, "mean GET /v2/models/NAME?"),
    "another model": ("/v2/models/nobody/infer", b"{", 404, "Here are: mood, bard, en-de"),
    "a body without inputs": ("/v2/models/mood/infer", b"{}", 400, 'no list \\"inputs\\"'),
    "inputs of no datatype": (
        "/v2/models/mood/infer",
        b'{"inputs": [{"name": "text"}]}',
        400,
        'inputs[0] has no \\"datatype\\"',
    ),
    "a shape of words": (
        "/v2/models/mood/infer",
        b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": ["a"], "data": ["a"]}]}',
        400,
        "whole numbers",
    ),
}
PYTHON_WORDS = re.compile(r"[A-Z]\w+Error|object is not|'str' object|__init__|NoneType|Traceback")


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_refused_and_the_next_is_answered(server, case):
    path, content, status, words = BAD[case]
    response = httpx.post(server.url + path, content=content)
    assert response.status_code == status, response.text
    assert words in response.text
    assert not PYTHON_WORDS.search(response.text), response.text
    good = httpx.post(server.url + "/v2/models/mood/infer", json=body("fine"))
    assert good.status_code == 200


def test_a_body_over_the_limit(served, serving):
    with serving(served / "mood", options=["--max-body-bytes", 10_000]) as server:
        path = server.url + "/v2/models/mood/infer"
        large = httpx.post(path, json=body("x" * 20_000))
        assert large.status_code == 413
        assert "at most 10,000 bytes" in large.json()["error"]

        def pieces():  # Without a length that tells beforehand.
            for _ in range(30):
                yield b" " * 1_000

        with contextlib.suppress(httpx.WriteError):
            assert httpx.post(path, content=pieces()).status_code == 413
        assert httpx.post(path, json=body("fine")).status_code == 200


def test_a_token(served, serving, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with serving(served / "mood", options=["--token-file", token]) as server:
        unknown = httpx.get(server.url + "/v2/models/nobody")
        assert unknown.status_code == 401  # the names of models are not for everybody
        assert "mood" not in unknown.text
        path = server.url + "/v2/models/mood/infer"
        assert httpx.post(path, json=body("a")).status_code == 401
        wrong = httpx.post(path, json=body("a"), headers={"Authorization": "Bearer s3cre"})
        assert wrong.status_code == 401
        right = httpx.post(path, json=body("a"), headers={"Authorization": "Bearer s3cret"})
        assert right.status_code == 200
        assert httpx.get(server.url + "/v2/health/ready").status_code == 200
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
            assert client.is_server_live()
            with pytest.raises(
                tritonclient.utils.InferenceServerException, match="UNAUTHENTICATED"
            ):
                client.get_model_metadata("mood")
            client.get_model_metadata("mood", headers={"authorization": "Bearer s3cret"})


@pytest.mark.slow
def test_more_than_there_is_capacity_for(served, serving):
    options = ["--max-queue", 4, "--max-batch", 1, "--deadline", 0.2]
    with serving(served / "bard", options=options) as server:
        requests = [("/v2/models/bard/infer", body(text)) for text in TEXTS[:150]]
        responses = asyncio.run(posted(server.url, requests, 150))
        statuses = [response.status_code for response in responses]
        assert set(statuses) == {200, 503}
        refused = [r for r in responses if r.status_code == 503]
        assert all("Ask again later" in response.json()["error"] for response in refused)
        assert refused[0].headers["Retry-After"] == "1"
        assert httpx.post(server.url + "/v2/models/bard/infer", json=body("a")).status_code == 200


@pytest.mark.slow
def test_one_request_of_many_rows_is_run_in_batches(server, served):
    import psutil

    texts = ["film " * 60, *["a"] * 2_999]
    data = body(*texts)
    process = psutil.Process(server.process.pid)
    before, most, is_over = process.memory_info().rss, 0, threading.Event()

    def watch():
        nonlocal most
        while not is_over.wait(0.02):
            most = max(most, process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    response = httpx.post(server.url + "/v2/models/mood/infer", json=data, timeout=60)
    is_over.set()
    watching.join()
    found = np.float32(answer(response)["probabilities"]).reshape(3_000, 2)
    loaded = export.load(served / "mood", "onnx")
    np.testing.assert_array_equal(found[0], loaded.classify_text(texts[:1])["probabilities"][0])
    np.testing.assert_array_equal(found[-1], loaded.classify_text(["a"])["probabilities"][0])
    assert most - before < 200e6


@pytest.mark.slow
def test_a_stream_that_cannot_begin_is_refused(served, serving):
    options = ["--workers", 1, "--max-queue", 1, "--max-batch", 1]
    with serving(served / "bard", options=options) as server:
        asked = {"model": "bard", "prompt": "a", "stream": True, "max_tokens": 24}
        requests = [("/openai/v1/completions", asked)] * 20
        found = asyncio.run(posted(server.url, requests, 20))
        assert {response.status_code for response in found} <= {200, 503}
        assert any(response.status_code == 503 for response in found)
        for response in found:
            ending = response.text.strip().splitlines()[-1]
            assert "[DONE]" in ending or "Ask again later" in ending


@pytest.mark.slow
def test_a_port_that_is_taken(server, served):
    for option, port in (("--http-port", server.http_port), ("--grpc-port", server.grpc_port)):
        ports = {"--http-port": 0, "--grpc-port": 0, option: port}
        command = [sys.executable, "-m", "export", "serve", str(served / "mood")]
        command += [str(part) for pair in ports.items() for part in pair]
        process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert process.returncode == 2
        assert "cannot listen on 127.0.0.1" in process.stderr
        assert "Traceback" not in process.stderr


def test_a_stream_is_the_whole_text(server, served):
    loaded = export.load(served / "bard", "onnx")
    found = loaded.generate_text(["To be"], seed=3, temperature=0.9, max_new_tokens=20)
    wanted = found["text"][0, : found["length"][0]].tobytes().decode("utf-8", "replace")
    asked = {"model": "bard", "prompt": "To be", "seed": 3, "temperature": 0.9, "max_tokens": 20}
    whole = httpx.post(server.url + "/openai/v1/completions", json=asked).json()
    assert whole["object"] == "text_completion"
    assert whole["choices"][0]["text"] == wanted
    written = whole["usage"]["completion_tokens"]
    if whole["choices"][0]["finish_reason"] == "length":
        assert written == 20
    else:
        assert written == found["length"][0]  # its tokens are bytes
    assert whole["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": written,
        "total_tokens": 5 + written,
    }
    url = server.url + "/openai/v1/completions"
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with httpx.stream("POST", url, json={**asked, **options}) as response:
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    last = json.loads(lines.pop())
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    choices = [json.loads(line)["choices"][0] for line in lines]
    assert len(choices) > 1
    assert "".join(choice["text"] for choice in choices) == wanted
    assert choices[-1]["finish_reason"] in ("stop", "length")
    known = httpx.get(server.url + "/openai/v1/models").json()
    assert [model["id"] for model in known["data"]] == ["bard"]
    found = loaded.generate_text(
        ["To be"], seed=3, temperature=0.9, max_new_tokens=20, repetition_penalty=3.0
    )
    penalized = found["text"][0, : found["length"][0]].tobytes().decode("utf-8", "replace")
    answer = httpx.post(url, json={**asked, "repetition_penalty": 3.0}).json()
    assert answer["choices"][0]["text"] == penalized != wanted
    part = wanted[4:6]
    stopped = httpx.post(url, json={**asked, "stop": part}).json()["choices"][0]
    assert stopped["text"] == wanted[: wanted.index(part)]
    assert stopped["finish_reason"] == "stop"


def test_a_client_that_goes_away_in_a_stream(server):
    data = json.dumps({"model": "bard", "prompt": "x", "stream": True})
    head = f"POST /openai/v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.http_port)) as connection:
            connection.sendall(head.encode() + data.encode())
            connection.recv(10)
    response = httpx.post(server.url + "/v2/models/bard/infer", json=body("a"))
    assert response.status_code == 200
    assert server.process.poll() is None


@pytest.mark.slow
def test_a_bundle_is_reloaded_without_losing_a_request(served, serving, tmp_path):
    path = tmp_path / "mood"
    shutil.copytree(served / "mood", path)
    with serving(path) as server:
        statuses, stop = [], threading.Event()

        def ask():
            with httpx.Client() as client:
                while not stop.is_set():
                    url = server.url + "/v2/models/mood/infer"
                    statuses.append(client.post(url, json=body("a")).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        [thread.start() for thread in threads]
        for _ in range(5):
            found = httpx.post(server.url + "/v2/repository/models/mood/load")
            assert found.status_code == 200, found.text
        (path / "onnx" / "classify_text.onnx").write_bytes(b"damaged")
        refused = httpx.post(server.url + "/v2/repository/models/mood/load")
        assert refused.status_code == 503
        assert "not the file that was exported" in refused.json()["error"]
        os.kill(server.process.pid, signal.SIGHUP)  # Refused, too; what was open stays.
        while "mood stays as it was" not in server.log:
            assert server.process.poll() is None
            time.sleep(0.01)
        stop.set()
        [thread.join() for thread in threads]
        assert set(statuses) == {200}


def test_what_is_in_flight_ends_before_the_server_does(served, serving):
    with serving(served / "bard", options=["--max-batch", 1]) as server:
        found = []

        def ask(texts):
            url = server.url + "/v2/models/bard/infer"
            found.append(httpx.post(url, json=body(*texts), timeout=60))

        asked_for = [[text] for text in TEXTS[:19]] + [TEXTS[:300]]
        threads = [threading.Thread(target=ask, args=(texts,)) for texts in asked_for]
        [thread.start() for thread in threads]

        def come():
            rows = httpx.get(server.url + "/metrics").text
            counted = r'^keras_seq_requests_(?:in_flight|total)\{[^}]*protocol="http"[^}]*\} (\S+)'
            return sum(map(float, re.findall(counted, rows, re.M)))

        asked = 1  # This very question; those before it are counted, too.
        while come() < 20 + asked:
            asked += 1
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(httpx.TransportError):  # It is told when it next looks.
            while True:
                httpx.get(server.url + "/v2/health/ready")
        assert called(server, "bard", b"too late") == "StatusCode.UNAVAILABLE"
        assert any(thread.is_alive() for thread in threads)
        [thread.join() for thread in threads]
        assert [response.status_code for response in found] == [200] * 20
        assert server.process.wait(timeout=30) == 0


def called(server, model, text):
    """By gRPC, a call and what it ended as."""
    given = tritonclient.grpc.InferInput("text", [1], "BYTES")
    given.set_data_from_numpy(np.array([text], object))
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        try:
            client.infer(model, [given])
        except tritonclient.utils.InferenceServerException as error:
            return error.status()
    return "OK"


def test_the_log_has_a_line_a_request_and_no_text(server):
    httpx.post(server.url + "/v2/models/mood/infer", json=body("my own secret"))
    assert called(server, "mood", b"another secret") == "OK"
    assert called(server, "mood.nothing", b"another secret") == "StatusCode.NOT_FOUND"
    deadline = time.monotonic() + 60  # A call that is aborted is written down after its answer.
    while "NOT_FOUND" not in server.log and time.monotonic() < deadline:
        time.sleep(0.01)
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    last = next(line for line in reversed(lines) if line["path"] == "/v2/models/mood/infer")
    assert (last["status"], last["model"]) == (200, "mood")
    assert last["ms"] > 0
    calls = [line for line in lines if line["protocol"] == "grpc"]
    assert [(line["status"], line["model"]) for line in calls[-2:]] == [
        ("OK", "mood"),
        ("NOT_FOUND", ""),
    ]
    assert "secret" not in server.log


def test_names_that_nobody_serves_make_no_metrics(server):
    for i in range(20):
        found = httpx.post(f"{server.url}/v2/models/nobody{i}/infer", json=body("a"))
        assert found.status_code == 404
        assert called(server, f"nobody{i}", b"a") == "StatusCode.NOT_FOUND"
    rows = httpx.get(server.url + "/metrics").text
    assert "nobody" not in rows
    assert 'keras_seq_requests_total{model="",protocol="http",status="404"}' in rows
    assert 'keras_seq_requests_total{model="",protocol="grpc",status="NOT_FOUND"}' in rows


@pytest.mark.slow
def test_two_bundles_of_one_folder_name(served, serving, tmp_path):
    shutil.copytree(served / "bard", tmp_path / "mood")
    with serving(served / "mood", f"v1.5={tmp_path / 'mood'}") as server:
        assert httpx.post(server.url + "/v2/models/mood/infer", json=body("a")).status_code == 200
        for model in ("v1.5", "v1.5.generate_text"):
            found = httpx.post(f"{server.url}/v2/models/{model}/infer", json=body("a"))
            assert found.json()["outputs"][0]["name"] == "text"
            loading = f"{server.url}/v2/repository/models/{model}/load"
            assert httpx.post(loading).status_code == 200


def test_bundles_of_schema_1_are_served(served, serving, tmp_path):
    manifests = {n: copy_with_schema_1(served / n, tmp_path / n) for n in ("mood", "bard", "en-de")}
    with serving(*(tmp_path / name for name in manifests)) as server:
        for name, manifest in manifests.items():
            found = httpx.post(f"{server.url}/v2/models/{name}/infer", json=body("a film"))
            assert found.status_code == 200, found.text
            assert found.json()["model_name"] == f"{name}.{manifest['entry']['signature']}"
        known = httpx.get(server.url + "/openai/v1/models").json()
        assert [model["id"] for model in known["data"]] == ["bard"]


@pytest.mark.slow
def test_another_model_in_its_place_is_not_loaded(served, serving, tmp_path):
    shutil.copytree(served / "mood", tmp_path / "mood")
    with serving(tmp_path / "mood") as server:
        shutil.rmtree(tmp_path / "mood")
        shutil.copytree(served / "bard", tmp_path / "mood")
        refused = httpx.post(server.url + "/v2/repository/models/mood/load")
        assert refused.status_code == 503
        assert "Restart the server" in refused.text
        assert httpx.post(server.url + "/v2/models/mood/infer", json=body("a")).status_code == 200


# Several command lines in one process: each start takes longer than being refused.
REFUSED = """
import contextlib, io, json, sys
from export.cli import main

errors = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as error:
        assert main(["serve", *arguments]) == 2
    errors.append(error.getvalue())
json.dump(errors, sys.stdout)
"""


@pytest.mark.slow
def test_refused_at_the_start(served, tmp_path):
    copy, damaged = tmp_path / "a" / "mood", tmp_path / "b" / "mood"
    for folder in (copy, damaged):
        shutil.copytree(served / "mood", folder)
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["files"]["../outside"] = {"sha256": "", "bytes": 1}
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    cases = {
        "is not a bundle": [tmp_path],
        "Two bundles are called mood": [served / "mood", copy],
        "--workers is ": [copy, "--workers", 0],
        "--deadline is ": [copy, "--deadline", -1],
        "--max-wait-ms is ": [copy, "--max-wait-ms", "nan"],
        "0 to 65535. Received: 99999": [copy, "--http-port", 99999],
        "damaged": [damaged],
    }
    arguments = json.dumps([list(map(str, case)) for case in cases.values()])
    command = [sys.executable, "-c", REFUSED, arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    for words, error in zip(cases, json.loads(process.stdout), strict=True):
        assert words in error
        assert "Traceback" not in error
