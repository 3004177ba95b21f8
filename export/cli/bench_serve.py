"""`python -m export bench-serve`."""

import argparse
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from keras_seq.console import print_table, show_progress
from keras_seq.errors import UserError
from keras_seq.files import read_utf8
from keras_seq.installation import MissingPackageError

DESCRIPTION = """\
Sends more and more requests at once to a server of `python -m export serve`, or to any other of the
Open Inference Protocol, and prints requests per second and latencies. If both run on one machine,
the client takes its share of the cores.

  python -m export bench-serve http://127.0.0.1:8080 --model sentiment
"""

TEXTS = (
    "A fine film.",
    "Two hours of my life that I will never get back.",
    "The plot is thin, but the actors carry it, and the last half hour is as tense as anything I "
    "have seen this year.",
    "I do not know whom this was made for. The jokes fall flat, the songs are forgettable, and the "
    "hero learns nothing. Even so, my children laughed.",
    "A man in a blue shirt is standing on a ladder.",
    "Beautifully shot, badly cut, and far too long; still, there are scenes in it that I will "
    "remember when better films are forgotten: the supper, the letter, and the walk home through "
    "the snow, which has no word in it and says more than all the rest.",
)


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    arguments = argparse.ArgumentParser(
        prog="python -m export bench-serve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=DESCRIPTION,
    )
    add = arguments.add_argument
    add("url", metavar="URL", help="URL of the server, such as http://127.0.0.1:8080")
    add("--model", metavar="NAME", help="model that reads texts (default: the first that does)")
    add(
        "--concurrency",
        type=int,
        nargs="+",
        default=[1, 2, 4, 8, 16, 32, 64],
        metavar="N",
        help="requests at once (default: 1 2 4 8 16 32 64)",
    )
    add("--seconds", type=float, default=5.0, metavar="S", help="seconds of each row (default: 5)")
    add(
        "--texts",
        type=Path,
        metavar="FILE",
        help="file with a text on each line (default: a few of all lengths)",
    )
    add("--token-file", type=Path, metavar="FILE", help="file with the bearer token")
    return arguments


def run(arguments: argparse.Namespace) -> int:
    """Prints a row for each concurrency."""
    import asyncio

    try:
        from export.serving.load import closed_loop
    except ModuleNotFoundError as error:
        raise MissingPackageError(error.name, "serve") from error
    if min(arguments.concurrency) < 1:
        raise UserError(f"--concurrency is 1 or more. Received: {min(arguments.concurrency)}")
    if not arguments.seconds > 0:
        raise UserError(f"--seconds is more than 0. Received: {arguments.seconds}")
    headers = {}
    if arguments.token_file is not None:
        headers["authorization"] = f"Bearer {arguments.token_file.read_text('utf-8').strip()}"
    url = arguments.url.rstrip("/")
    model = arguments.model or _first(url, headers)
    _refuse_without_texts(model, _get(f"{url}/v2/models/{model}", headers))
    endpoint = f"{url}/v2/models/{model}/infer"
    bodies = [_body(text) for text in _texts(arguments.texts)]
    rows = []
    for concurrency in show_progress(arguments.concurrency, f"Asking {model}"):
        figures = asyncio.run(
            closed_loop(endpoint, bodies, concurrency, arguments.seconds, headers=headers)
        )
        if not figures.latencies:
            raise UserError(f"{endpoint} accepted nothing. It says: {figures.refusal[:300]}")
        times = (f"{figures.percentile_ms(percent):.1f}" for percent in (50, 95, 99))
        refused = sum(figures.statuses.values()) - len(figures.latencies)
        rows.append((str(concurrency), f"{figures.rate:,.1f}", *times, f"{refused:,}"))
    columns = ("at once", "requests a second", "p50 ms", "p95 ms", "p99 ms", "refused")
    print_table(columns, rows, f"{model} at {url}, {arguments.seconds:g} s each")
    return 0


def _get(url: str, headers: dict[str, str]) -> Any:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return json.load(response)
    except HTTPError as error:
        said = error.read()[:300].decode("utf-8", "replace")
        raise UserError(f"{url} answers {error.code}: {said}") from error
    except (URLError, ValueError, OSError) as error:
        raise UserError(
            f"{url} does not answer as a server of the Open Inference Protocol: {error}. Start "
            "one with: python -m export serve BUNDLE"
        ) from error


def _first(url: str, headers: dict[str, str]) -> str:
    """Returns the first model that reads texts."""
    for name in _get(f"{url}/v2/models", headers)["models"]:
        if _reads_texts(_get(f"{url}/v2/models/{name}", headers)):
            return name
    raise UserError(f"{url} has no model that reads texts.")


def _reads_texts(metadata: dict[str, Any]) -> bool:
    return any((i["name"], i["datatype"]) == ("text", "BYTES") for i in metadata["inputs"])


def _refuse_without_texts(model: str, metadata: dict[str, Any]) -> None:
    if not _reads_texts(metadata):
        names = ", ".join(tensor["name"] for tensor in metadata["inputs"])
        raise UserError(f"{model} takes {names}. Name a model that takes a text: --model NAME")


def _texts(path: Path | None) -> list[str]:
    if path is None:
        return list(TEXTS)
    return [line for line in read_utf8(path).splitlines() if line.strip()]


def _body(text: str) -> bytes:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    return json.dumps({"inputs": [tensor]}).encode()
