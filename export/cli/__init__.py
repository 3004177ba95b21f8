"""`python -m export`: one file a command."""

from collections.abc import Sequence

from export.cli import bench_serve, check, deploy, export, inspect, serve
from keras_seq.console import run_command

COMMANDS = {
    "check": check,
    "inspect": inspect,
    "serve": serve,
    "bench-serve": bench_serve,
    "deploy": deploy,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    import sys

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(arguments[0]) if arguments else None
    parsed = (
        command.make_parser().parse_args(arguments[1:])
        if command
        else export.make_parser().parse_args(arguments)
    )
    return run_command(lambda: (command or export).run(parsed))
