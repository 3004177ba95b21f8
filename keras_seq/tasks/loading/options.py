"""Options of the commands that load a Keras model of any origin."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_seq.tasks.loading.loader import Loader


def add_loading_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--import`, `--weights` and `--trust`."""
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="FILE[:FUNCTION]",
        help="Python file or module with the model's own layers and functions; with :FUNCTION the "
        "model is built by this function, without MODEL; may be repeated",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weights of a model that a function builds, or of a .json",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run Python code that is inside the file, such as that of a Lambda layer",
    )


def make_loader(arguments: argparse.Namespace, sample: Any = None) -> "Loader":
    """Returns what loads a model as the options say; it imports Keras.

    Raises:
        UserError: If a file to import is missing or fails.
    """
    from keras_seq.tasks.loading.imports import import_files
    from keras_seq.tasks.loading.loader import Loader

    return Loader(import_files(arguments.modules), trust=arguments.trust, sample=sample)


def weights_path(arguments: argparse.Namespace) -> Path | None:
    """Returns the file that `--weights` names."""
    return Path(arguments.weights) if arguments.weights else None
