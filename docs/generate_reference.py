"""Writes `docs/reference/cli.md` from the command lines themselves.

python docs/generate_reference.py
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEAD = """\
# Command lines

This page is generated from the commands' own `--help` by `python docs/generate_reference.py`.
"""


def iter_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yields a parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from iter_parsers(subparser)


def render() -> str:
    """Returns the page."""
    from export.cli import COMMANDS, export
    from keras_seq.cli import make_parser

    os.environ["COLUMNS"] = "100"
    exporters = (command.make_parser() for command in (export, *COMMANDS.values()))
    parsers = [*iter_parsers(make_parser()), *exporters]
    sections = (
        f"## {parser.prog}\n\n```\n{parser.format_help().strip()}\n```" for parser in parsers
    )
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
