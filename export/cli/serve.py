"""`python -m export serve`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from export.serving.settings import Limits, Settings
from keras_seq.console import print_status
from keras_seq.errors import UserError
from keras_seq.installation import MissingPackageError

DESCRIPTION = """\
Serves bundles, each signature as the model BUNDLE.SIGNATURE; BUNDLE alone is its main signature.
Texts are BYTES on the wire. Needs neither TensorFlow nor Keras.

  curl localhost:8080/v2/models/sentiment/infer -d \\
    '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A fine film."]}]}'
"""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    arguments = argparse.ArgumentParser(
        prog="python -m export serve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=DESCRIPTION,
    )

    def add(name: str, default: float | str | None, text: str, metavar: str = "N") -> None:
        kind = type(default) if default is not None else int
        shown = "" if default is None else f" (default: {default:{',' if kind is int else ''}})"
        arguments.add_argument(name, type=kind, default=default, metavar=metavar, help=text + shown)

    default = Settings()
    limits = default.limits
    arguments.add_argument(
        "bundles",
        metavar="BUNDLE",
        nargs="+",
        help="bundle to serve under its folder's name, or NAME=BUNDLE for another name",
    )
    add("--host", default.host, "address to listen on; 0.0.0.0 for all machines", "ADDRESS")
    for protocol, port in (("HTTP", default.http_port), ("gRPC", default.grpc_port)):
        arguments.add_argument(
            f"--{protocol.lower()}-port",
            type=int,
            default=port,
            metavar="N",
            help=f"port of {protocol}; 0: a free one (default: {port})",
        )
    arguments.add_argument("--no-grpc", action="store_true", help="HTTP only")
    add("--workers", default.workers, "calls of the runtime at once; the number of cores")
    add("--threads", None, "threads of each call (default: the cores divided among the workers)")
    add("--max-batch", limits.max_batch, "largest number of rows that run together")
    add(
        "--max-wait-ms",
        limits.max_wait_ms,
        "milliseconds that the first request of a batch waits for others while nothing runs",
        "X",
    )
    add(
        "--max-queue",
        limits.max_queue,
        "largest number of waiting requests of a signature; a short queue bounds latency",
    )
    add("--deadline", limits.deadline_s, "longest time in seconds until a request's answer", "S")
    add("--max-rows", limits.max_rows, "largest number of rows of a request")
    add("--max-prompts", limits.max_prompts, "largest number of prompts of a completion")
    add("--max-stops", limits.max_stops, "largest number of stop texts of a completion")
    add("--max-body-bytes", default.max_body_bytes, "largest body of a request")
    add(
        "--max-memory",
        default.max_memory,
        "bytes for all requests together, beyond the models: bodies, inputs, calls, answers",
        "BYTES",
    )
    add("--max-connections", default.max_connections, "HTTP connections, and gRPC calls, at once")
    add("--body-timeout", default.body_timeout_s, "seconds in which a request must arrive", "S")
    add(
        "--idle-timeout",
        default.idle_timeout_s,
        "seconds after which a client that takes nothing of its answer is given up",
        "S",
    )
    arguments.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the bearer token that requests need",
    )
    add(
        "--grace",
        default.grace_s,
        "seconds that requests in flight have when the server stops",
        "S",
    )
    arguments.add_argument(
        "--cache-dir",
        type=Path,
        metavar="FOLDER",
        help="folder on a disk for copies of the bundles, which the server opens so that nobody "
        "changes what it serves; they vanish with it (default: TMPDIR or /var/tmp)",
    )
    return arguments


def run(arguments: argparse.Namespace) -> int:
    """Serves until told to stop."""
    try:
        from export.serving.server import serve
    except ModuleNotFoundError as error:
        raise MissingPackageError(error.name, "serve") from error
    paths = name_bundles(arguments.bundles)
    _check(arguments)
    settings = Settings(
        host=arguments.host,
        http_port=arguments.http_port,
        grpc_port=None if arguments.no_grpc else arguments.grpc_port,
        workers=arguments.workers,
        threads=arguments.threads,
        limits=Limits(
            arguments.max_batch,
            arguments.max_wait_ms,
            arguments.max_queue,
            arguments.deadline,
            arguments.max_rows,
            arguments.max_prompts,
            arguments.max_stops,
        ),
        token=_token(arguments.token_file),
        max_body_bytes=arguments.max_body_bytes,
        max_memory=arguments.max_memory,
        max_connections=arguments.max_connections,
        body_timeout_s=arguments.body_timeout,
        idle_timeout_s=arguments.idle_timeout,
        grace_s=arguments.grace,
        cache_dir=arguments.cache_dir,
    )
    serve(paths, settings, print_status)
    return 0


def name_bundles(bundles: Sequence[str]) -> dict[str, Path]:
    """Returns bundles by name: that of the folder, or the one before a `=`.

    Raises:
        UserError: If two have the same name.
    """
    paths: dict[str, Path] = {}
    for argument in bundles:
        name, equals, path = argument.partition("=")
        if not equals or Path(argument).is_dir():
            name, path = Path(argument).resolve().name, argument
        if name in paths:
            raise UserError(
                f"Two bundles are called {name}: {paths[name]} and {path}. Give one another name: "
                f"OTHER={path}"
            )
        if not name or "/" in name:
            raise UserError(
                f"The name of a bundle has no / and is not empty. Received: {argument!r}"
            )
        paths[name] = Path(path)
    return paths


def _check(arguments: argparse.Namespace) -> None:
    least = {"workers": 1, "threads": 1, "max_batch": 1, "max_queue": 1, "max_body_bytes": 1}
    least |= {"grace": 1, "max_wait_ms": 0, "deadline": 0.001, "max_rows": 1, "max_prompts": 1}
    least |= {"max_stops": 0, "max_memory": 16_000_000, "max_connections": 1}
    least |= {"body_timeout": 0.001, "idle_timeout": 0.001}
    for option, value in ((option, getattr(arguments, option)) for option in least):
        if value is not None and not value >= least[option]:
            name = option.replace("_", "-")
            raise UserError(f"--{name} is {least[option]} or more. Received: {value}")
    for option in ("http_port", "grpc_port"):
        if not 0 <= getattr(arguments, option) <= 65535:
            name = option.replace("_", "-")
            raise UserError(
                f"--{name} is a port, 0 to 65535. Received: {getattr(arguments, option)}"
            )


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    token = path.read_text("utf-8").strip()
    if not token:
        raise UserError(f"{path} is empty. Write the token into it.")
    return token
