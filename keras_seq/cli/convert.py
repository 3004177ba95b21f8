"""`keras-seq convert`."""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from keras_seq.console import import_quietly, print_status
from keras_seq.errors import UserError
from keras_seq.files import refuse_stream
from keras_seq.tasks.loading.options import add_loading_options, make_loader, weights_path

DESCRIPTION = """\
Writes a Keras model of any version as a .keras file of Keras 3, and proves that it answers the
same. Files of Keras 2 in any form are read: .h5, .keras, SavedModel folders, and a .json of the
layers beside the .h5 of their weights.

  keras-seq convert old.h5 new.keras
  keras-seq convert saved_model_folder new.keras
  keras-seq convert model.json new.keras --weights model.weights.h5
  keras-seq convert old.h5 new.keras --import my_layers.py
  keras-seq convert new.keras --import train.py:build_model --weights my.weights.h5

Exporting needs no conversion before it: python -m export old.h5
"""


def add(commands: Any) -> None:
    """Adds the command."""
    convert = commands.add_parser(
        "convert",
        help="write a Keras 2 model as a Keras 3 file",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    convert.add_argument("model", metavar="OLD", nargs="?", help="the model to read")
    convert.add_argument("output", metavar="NEW.keras", help="the file to write")
    convert.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_loading_options(convert)
    convert.set_defaults(command=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    if arguments.model:
        refuse_stream(arguments.model)
    output = Path(arguments.output)
    if output.suffix != ".keras":
        raise UserError(f"A file of Keras 3 ends in .keras. Received: {output}")
    if output.exists() and not arguments.overwrite:
        raise UserError(f"{output} exists. Name another file, or replace it: --overwrite")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import_quietly("keras_seq.tasks.loading.load")
    from keras_seq.tasks.loading import find_model

    loader = make_loader(arguments)
    weights = weights_path(arguments)
    if loader.builds and arguments.model:
        raise UserError(
            f"--import builds a model, and {arguments.model} is another. Leave one of them out."
        )
    if not loader.builds and not arguments.model:
        raise UserError("Name the model to read: keras-seq convert OLD NEW.keras")
    print_status(f"Loading {arguments.model or arguments.modules[-1]}")
    if loader.builds:
        model = loader.build(weights)
    else:
        model, _ = find_model(arguments.model, loader, weights)
    _write(model, output, loader)
    print_status(f"{output} is written. It has {model.count_params():,} weights.")
    names = _find_own_parts(model)
    if names:
        print_status(
            f"It has {', '.join(names)}, which Keras 3 does not have. In Python: import "
            "keras_seq.keras2 before keras.saving.load_model, or keras_seq.load"
        )
    return 0


def _write(model: Any, output: Path, loader: Any) -> None:
    """Writes a model beside `output`, proves what was written, and renames it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        partial = Path(folder) / output.name
        model.save(partial)
        loader.verify(partial)
        os.replace(partial, output)


def _find_own_parts(model: Any) -> list[str]:
    """Returns the names of the classes and functions of ours in a model."""
    from keras_seq import keras2

    config = model.to_json()
    return [name for name in keras2.__all__ if f'"keras_seq>{name}"' in config]
