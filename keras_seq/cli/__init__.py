"""`keras-seq train | evaluate | predict | convert | demo`."""

import argparse
from collections.abc import Sequence

from keras_seq import __version__
from keras_seq.cli import convert, demo, evaluate, predict, train
from keras_seq.console import run_command

DESCRIPTION = """\
Trains sequence models and uses them. `python -m export` makes them run anywhere.

  keras-seq demo                                         a complete example on film reviews
  keras-seq train classify --data reviews.csv            learn from your own labelled texts
  keras-seq train generate --data tinyshakespeare        learn to write
  keras-seq train translate --data dates                 learn to translate
  keras-seq evaluate runs/NAME                           results on the held-out examples
  keras-seq predict runs/NAME "A wonderful film."        classify texts
  keras-seq predict runs/NAME --prompt "ROMEO:"          continue a text
  keras-seq predict runs/NAME "23. November 2026"        translate
  keras-seq convert old.h5 new.keras                     a Keras 2 model as a Keras 3 file
  python -m export runs/NAME --output bundles/NAME       SavedModel, TFLite and ONNX, proven
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = make_parser()
    parsed, rest = parser.parse_known_args(arguments)
    # argparse ends a list of texts at the first option: "predict RUN --json TEXT".
    if "texts" not in parsed or any(argument.startswith("-") for argument in rest):
        parser.parse_args(arguments)
    else:
        parsed.texts += rest
    return run_command(lambda: parsed.command(parsed))


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="keras-seq",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-seq {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (train, evaluate, predict, convert, demo):
        command.add(commands)
    return parser
