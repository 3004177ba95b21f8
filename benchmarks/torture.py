"""Attacks a server of bundles, and prints what it costs: memory, time of others, statuses.

    python -m export preset:shakespeare --format onnx --output bundles/shakespeare
    python -m export preset:sentiment --format onnx --output bundles/sentiment
    python -m export preset:en-de --format onnx --output bundles/en-de
    python -m benchmarks.torture bundles                 every attack, some minutes
    python -m benchmarks.torture bundles --only S4 S6    some of them
    python -m benchmarks.torture bundles --mixed 1800    ordinary traffic at full load, for so long
    python -m benchmarks.torture bundles --fuzz 10000    requests with parts of another kind
    python -m benchmarks.torture bundles --beside        a small request beside large ones

Peak is the most memory beyond that of the server at rest; a health check is asked for all the time
from a process of its own, and the slowest answer counts; afterwards is memory a minute later. The
attacks are sent from this process, on the same machine. Options behind `--` are the server's.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from keras_seq.console import print_status, print_table

NAMES = ("shakespeare", "sentiment", "en-de")
PAUSE_SECONDS = 0.02
AFTER_SECONDS = 60
BESIDE_SECONDS = 20
INFER = "/v2/models/{}/infer"
COMPLETIONS = "/openai/v1/completions"


class Server:
    """A server in a process of its own.

    Args:
        bundles: Folder of the bundles.
        options: Options of `python -m export serve`.
    """

    def __init__(self, bundles: Path, options: list[str]) -> None:
        self.port, self.grpc_port = find_port(), find_port()
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        paths = [str(bundles / name) for name in NAMES]
        ports = ["--http-port", str(self.port), "--grpc-port", str(self.grpc_port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "export", "serve", *paths, *ports, *options],
            stdout=self._log,
            stderr=self._log,
        )
        self.url = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 120
        while ask_health(self.port) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                raise RuntimeError(self._log.read()[-2000:])
            time.sleep(0.1)

    def memory(self) -> int:
        """Returns the bytes that it has in memory."""
        return psutil.Process(self.process.pid).memory_info().rss

    def send(self, path: str, body: bytes, headers: str = "", wait: bool = True) -> Any:
        """Sends a request on a connection of its own; returns that, or the status and the size of
        the answer if `wait`.
        """
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        try:
            connection.sendall(head.encode() + body)
        except OSError:
            return (0, 0) if wait else connection
        return read_answer(connection) if wait else connection

    def stop(self) -> tuple[int, float]:
        """Ends it; returns its status and the seconds that it took."""
        start = time.monotonic()
        self.process.terminate()
        status = self.process.wait(120)
        return status, time.monotonic() - start


def find_port() -> int:
    """Returns a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def read_answer(connection: socket.socket) -> tuple[int, int]:
    """Returns the status of an answer, 0 for none, and its size in bytes; reads it to the end."""
    size, head = 0, b""
    with contextlib.suppress(OSError), connection:
        connection.settimeout(120)
        while part := connection.recv(1 << 18):
            head = head or part
            size += len(part)
            ends = b"content-length" not in head.lower() and part.endswith(b"0\r\n\r\n")
            found = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            start = head.find(b"\r\n\r\n") + 4
            if ends or (found.isdigit() and size >= start + int(found)):
                break
    return int(head[9:12]) if head else 0, size


def ask_health(port: int) -> float | None:
    """Returns the seconds that a health check takes; None if it is not answered."""
    start = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(
                b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            found = b""
            while part := connection.recv(4096):
                found += part
    except OSError:
        return None
    return time.perf_counter() - start if b" 200 " in found else None


def _ask_health(port: int, stop: Any, results: Any) -> None:
    slowest, lost = 0.0, 0
    while not stop.is_set():
        seconds = ask_health(port)
        lost += seconds is None
        slowest = max(slowest, seconds or 0.0)
        time.sleep(PAUSE_SECONDS)
    results.put((slowest, lost))


@contextlib.contextmanager
def watching(server: Server, found: dict[str, Any]) -> Iterator[None]:
    """Notes the peak of the memory and the slowest health check in the `with` block."""
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    asking = context.Process(target=_ask_health, args=(server.port, stop, results))
    asking.start()
    time.sleep(2.0)  # It has begun.
    found["peak"] = 0
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(PAUSE_SECONDS):
            with contextlib.suppress(psutil.Error):
                found["peak"] = max(found["peak"], server.memory())

    memory = threading.Thread(target=watch)
    memory.start()
    try:
        yield
    finally:
        is_over.set()
        stop.set()
        memory.join()
        found["health"], found["lost"] = results.get(timeout=120)
        asking.join()


def infer(name: str, datatype: str, values: list[Any], **shape: Any) -> dict[str, Any]:
    """Returns an input of a request."""
    return {
        "name": name,
        "datatype": datatype,
        "shape": shape.get("shape", [len(values)]),
        "data": values,
    }


def prefill(rows: int) -> bytes:
    """Returns a request for the state after one token, of so many rows."""
    tensors = [
        infer("token_ids", "INT32", [5] * rows, shape=[rows, 1]),
        infer("length", "INT32", [1] * rows),
    ]
    return json.dumps({"inputs": tensors}).encode()


def texts(*values: str) -> bytes:
    """Returns a request of texts."""
    return json.dumps({"inputs": [infer("text", "BYTES", list(values))]}).encode()


def at_once(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Returns what a function returns for each number, each in a thread of its own."""
    results: list[Any] = [None] * count

    def call(i: int) -> None:
        with contextlib.suppress(OSError):
            results[i] = function(i)

    threads = [threading.Thread(target=call, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def many_rows(server: Server) -> list[int]:
    """Few bytes that ask for much: the states of 50, 200, 2,000 and 9,000 rows."""
    path = INFER.format("shakespeare.prefill")
    return [server.send(path, prefill(rows))[0] for rows in (50, 200, 2_000, 9_000)]


def many_rows_grpc(server: Server) -> list[str]:
    """The same by gRPC: 1,200 rows, ten times at once."""
    import numpy as np
    import tritonclient.grpc as triton

    def call(_: int) -> str:
        token_ids = triton.InferInput("token_ids", [1_200, 1], "INT32")
        token_ids.set_data_from_numpy(np.full((1_200, 1), 5, "int32"))
        length = triton.InferInput("length", [1_200], "INT32")
        length.set_data_from_numpy(np.ones(1_200, "int32"))
        with triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
            try:
                client.infer("shakespeare.prefill", [token_ids, length])
            except triton.InferenceServerException as error:
                return str(error.status()).removeprefix("StatusCode.")
        return "OK"

    return at_once(10, call)


def many_prompts(server: Server) -> list[int]:
    """4,000,000 and 500,000 prompts of a completion."""
    found = []
    for count in (4_000_000, 500_000):
        head = b'{"model": "shakespeare", "max_tokens": 1, "prompt": ['
        body = head + b'"",' * (count - 1) + b'""]}'
        found.append(server.send(COMPLETIONS, body)[0])
    return found


def many_texts_and_gone(server: Server) -> list[int]:
    """2,000,000 empty texts, and 9,000 long ones, whose clients leave; then a short one."""
    for count, text in ((2_000_000, b'""'), (9_000, b'"%s"' % (b"x" * 900))):
        head = b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [%d], "data": [' % count
        body = head + (text + b",") * (count - 1) + text + b"]}]}"
        server.send(INFER.format("sentiment"), body, wait=False).close()
    return [server.send(INFER.format("sentiment"), texts("fine"))[0] for _ in range(10)]


def slow_bodies(server: Server) -> list[int]:
    """150 clients send 15 of 16 MB and wait; then a short request."""
    body = bytes(15_000_000)
    head = (
        f"POST {INFER.format('sentiment')} HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n"
    )

    def hold(_: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        connection.sendall(head.encode())
        with contextlib.suppress(OSError):
            connection.sendall(body)
        return connection

    held = at_once(150, hold)
    found = server.send(INFER.format("sentiment"), texts("fine"))[0]
    time.sleep(2.0)
    for connection in held:
        if connection is not None:
            connection.close()
    return [found]


def endless_heads(server: Server) -> list[int]:
    """A header of 100 MB, and 200 connections that say nothing, or half a head."""
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for connection in idle[:100]:
        connection.sendall(b"POST /v2/models/sentiment/infer HTTP/1.1\r\nHost: x\r\nX-")
    with socket.create_connection(("127.0.0.1", server.port)) as large:
        large.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: ")
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                large.sendall(b"a" * 100_000)
    found = server.send(INFER.format("sentiment"), texts("fine"))[0]
    for connection in idle:
        connection.close()
    return [found]


def unread_answers(server: Server) -> list[int]:
    """10 clients ask for the states of 30 texts, 30 for a stream, and none reads a byte."""
    states = texts(*["To be"] * 30)
    stream = json.dumps({"model": "shakespeare", "prompt": "To be", "stream": True}).encode()
    held = [
        server.send(INFER.format("shakespeare.prefill_text"), states, wait=False) for _ in range(10)
    ]
    held += [server.send(COMPLETIONS, stream, wait=False) for _ in range(30)]
    time.sleep(15.0)
    found = server.send(INFER.format("sentiment"), texts("fine"))[0]
    for connection in held:
        connection.close()
    return [found]


def many_calls(server: Server) -> list[str]:
    """3,000 gRPC calls at once on one channel."""
    import numpy as np
    import tritonclient.grpc.aio as triton
    from tritonclient.utils import InferenceServerException

    async def ask() -> list[str]:
        async with triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:

            async def call() -> str:
                text = triton.InferInput("text", [1], "BYTES")
                text.set_data_from_numpy(np.array([b"fine"], object))
                try:
                    await client.infer("sentiment", [text])
                except InferenceServerException as error:
                    return str(error.status()).rpartition(".")[2]
                return "OK"

            return await asyncio.gather(*(call() for _ in range(3_000)))

    return asyncio.run(ask())


def left_completions(server: Server) -> list[int]:
    """300 whole completions whose clients leave at once; then a short one."""
    body = json.dumps({"model": "shakespeare", "prompt": "To be"}).encode()
    for _ in range(300):
        server.send(COMPLETIONS, body, wait=False).close()
    short = json.dumps({"model": "shakespeare", "prompt": "To be", "max_tokens": 1}).encode()
    return [server.send(COMPLETIONS, short)[0]]


ATTACKS: dict[str, Callable[[Server], list[Any]]] = {
    "S1": many_rows,
    "S1 gRPC": many_rows_grpc,
    "S2": many_prompts,
    "S3": many_texts_and_gone,
    "S4": slow_bodies,
    "S5": endless_heads,
    "S6": unread_answers,
    "S10": many_calls,
    "S16": left_completions,
}


def attack(bundles: Path, names: list[str], options: list[str]) -> int:
    """Prints what each attack costs, each on a server of its own; returns 1 if one ends it."""
    rows, ended = [], 0
    for name, function in ATTACKS.items():
        if names and name.split()[0] not in names:
            continue
        print_status(f"{name}: {function.__doc__.splitlines()[0]}")
        server = Server(bundles, options)
        for path, body in ((INFER.format("sentiment"), texts("a")), (COMPLETIONS, SMALL)):
            server.send(path, body)
        at_rest, found = server.memory(), {}
        with watching(server, found):
            statuses = Counter(map(str, function(server)))
        alive = server.process.poll() is None
        ended += not alive
        time.sleep(AFTER_SECONDS if alive else 0)
        after = f"{(server.memory() - at_rest) / 1e6:.0f}" if alive else "ended"
        status, seconds = server.stop()
        rows.append(
            (
                name,
                ", ".join(f"{count} × {status}" for status, count in statuses.items()),
                f"{(found['peak'] - at_rest) / 1e6:.0f}",
                f"{1000 * found['health']:.0f}" + (f", {found['lost']} lost" * bool(found["lost"])),
                after,
                f"{status}, {seconds:.1f} s",
            )
        )
    columns = ("attack", "statuses", "peak MB", "slowest health ms", "MB after 60 s", "end")
    print_table(columns, rows, f"At rest {at_rest / 1e6:.0f} MB")
    return int(ended > 0)


async def _post_until(url: str, path: str, body: bytes, end: float, found: Counter) -> list[float]:
    """Sends a request again and again until a time; returns the seconds of each answer."""
    seconds = []
    timeout = aiohttp.ClientTimeout(120)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while (start := time.perf_counter()) < end:
            async with session.post(url + path, data=body) as response:
                await response.read()
            found[response.status] += 1
            if response.status == 200:
                seconds.append(time.perf_counter() - start)
    return seconds


SENTENCE = "A man in a blue shirt is standing on a ladder."


def list_kinds() -> dict[str, tuple[str, bytes, int]]:
    """Returns the kinds of ordinary requests: path, body, and how many clients send it."""

    def complete(**options: Any) -> bytes:
        return json.dumps({"model": "shakespeare", "prompt": "To be", **options}).encode()

    return {
        "one short text": (INFER.format("sentiment"), texts("A fine film."), 8),
        "256 texts": (INFER.format("sentiment"), texts(*[SENTENCE] * 256), 1),
        "one translation": (INFER.format("en-de"), texts(SENTENCE), 4),
        "256 translations": (INFER.format("en-de"), texts(*[SENTENCE] * 256), 1),
        "a completion": (COMPLETIONS, complete(), 16),
        "a stream": (COMPLETIONS, complete(stream=True), 16),
        "states of 8 texts": (INFER.format("shakespeare.prefill_text"), texts(*["To be"] * 8), 2),
    }


def mix(bundles: Path, seconds: float, options: list[str]) -> int:
    """Prints the most memory under ordinary traffic at full load, beside what `deploy` asks for."""
    from export import bundle
    from export.deployment.kserve import Service, inference_service

    server = Server(bundles, options)
    at_rest, found, counts = server.memory(), {}, Counter()

    async def ask() -> None:
        end = time.perf_counter() + seconds
        await asyncio.gather(
            *(
                _post_until(server.url, path, body, end, counts)
                for path, body, clients in list_kinds().values()
                for _ in range(clients)
            )
        )

    with watching(server, found):
        asyncio.run(ask())
    alive = server.process.poll() is None
    server.stop()
    needed = 0
    for name in NAMES:
        service = inference_service(Service(name, "image"), bundle.read_manifest(bundles / name))
        container = service["spec"]["predictor"]["containers"][0]
        needed = max(needed, int(container["resources"]["limits"]["memory"].rstrip("M")))
    rows = [
        ("at rest, MB", f"{at_rest / 1e6:.0f}"),
        ("peak, MB", f"{found['peak'] / 1e6:.0f}"),
        ("what deploy asks for, for one of the bundles, MB", str(needed)),
        ("slowest health check, ms", f"{1000 * found['health']:.0f}"),
        ("answers", ", ".join(f"{n:,} × {status}" for status, n in counts.items())),
        ("the process", "stays up" if alive else "ended"),
    ]
    print_table(("", ""), rows, f"{seconds:.0f} s of mixed traffic")
    return int(not alive)


def measure_beside(bundles: Path, options: list[str]) -> int:
    """Prints how long one short text takes alone and beside large requests of other models."""
    kinds = list_kinds()
    path, body, _ = kinds["one short text"]
    rows = []
    for name, clients in (("", 0), ("a completion", 32), ("256 translations", 2)):
        server = Server(bundles, options)
        large = [kinds[name][:2]] * clients if clients else []
        seconds = sorted(asyncio.run(_ask_beside(server.url, (path, body), large)))
        server.stop()
        p50, p95 = (1000 * seconds[int(len(seconds) * share)] for share in (0.5, 0.95))
        rows.append((f"{clients} × {name}" if clients else "alone", f"{p50:.1f}", f"{p95:.1f}"))
    print_table(("beside", "p50 ms", "p95 ms"), rows)
    return 0


async def _ask_beside(
    url: str, small: tuple[str, bytes], large: list[tuple[str, bytes]]
) -> list[float]:
    """Returns the seconds of each answer to a small request beside clients that send large ones."""
    end = time.perf_counter() + BESIDE_SECONDS
    others = [asyncio.create_task(_post_until(url, *one, end, Counter())) for one in large]
    await asyncio.sleep(2.0)
    found = await _post_until(url, *small, end, Counter())
    await asyncio.gather(*others)
    return found


VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, -(2**63), 1e308, "", "a", "\u0000", [], [[]],
    {}, {"a": 1}, ["a", 1, None], [[1], [2, 3]], "BYTES", "FP32", "INT32", [0], [1], [-1], [2**40],
]  # fmt: skip


def change(value: Any, draw: random.Random) -> Any:
    """Returns a JSON value with one part replaced, left out or doubled."""
    if not value or not isinstance(value, dict | list) or draw.random() < 0.1:
        return draw.choice(VALUES)
    key = draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
    changed = dict(value) if isinstance(value, dict) else list(value)
    chance = draw.random()
    if chance < 0.1:
        del changed[key]
    elif chance < 0.2:
        if isinstance(changed, dict):
            changed[str(draw.choice(VALUES))] = changed[key]
        else:
            changed.append(changed[key])
    else:
        changed[key] = change(value[key], draw)
    return changed


def fuzz(bundles: Path, count: int, options: list[str]) -> int:
    """Sends requests with parts of another kind; prints the statuses, and each that is a fault."""
    draw = random.Random(0)
    server = Server(bundles, options)
    paths = [(path, json.loads(body)) for path, body, _ in list_kinds().values()]
    paths.append((INFER.format("shakespeare.prefill"), json.loads(prefill(2))))
    statuses: Counter = Counter()
    for _ in range(count):
        path, request = draw.choice(paths)
        if "prompt" in request:
            request = {**request, "max_tokens": 2, "stop": ["a"], "temperature": 0.5, "n": 1}
        else:
            request = {**request, "parameters": {"seed": 1}, "outputs": None, "id": "a"}
        for _ in range(draw.randint(1, 2)):
            request = change(request, draw)
        body = json.dumps(request).encode()
        if draw.random() < 0.1:
            place = draw.randrange(len(body))
            body = body[:place] + bytes([draw.randrange(256)]) + body[place + 1 :]
        status, _ = server.send(path, body)
        statuses[status] += 1
        if status == 0 or status >= 500:
            print(f"{status} {path} {body[:500]!r}", flush=True)
        if server.process.poll() is not None:
            print("The server has ended.")
            return 1
    server.stop()
    print(", ".join(f"{n:,} × {status}" for status, n in sorted(statuses.items())))
    return int(any(status == 0 or status >= 500 for status in statuses))


SMALL = json.dumps({"model": "shakespeare", "prompt": "To be", "max_tokens": 9}).encode()


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.torture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundles", metavar="FOLDER", type=Path, help="folder of the three bundles")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="attacks by name")
    parser.add_argument("--mixed", type=float, metavar="S", help="seconds of ordinary traffic")
    parser.add_argument("--fuzz", type=int, metavar="N", help="requests with parts of another kind")
    parser.add_argument("--beside", action="store_true", help="a small request beside large ones")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:split])
    options = sys.argv[split + 1 :]
    if arguments.mixed:
        return mix(arguments.bundles, arguments.mixed, options)
    if arguments.fuzz:
        return fuzz(arguments.bundles, arguments.fuzz, options)
    if arguments.beside:
        return measure_beside(arguments.bundles, options)
    return attack(arguments.bundles, arguments.only, options)


if __name__ == "__main__":
    raise SystemExit(main())
