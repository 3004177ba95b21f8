"""`python -m export MODEL`."""

import argparse
import os
from pathlib import Path
from typing import Any

from export import bundle, formats
from export.cli.figures import print_parity
from keras_seq import __version__, presets
from keras_seq.arguments import add_options, read_options
from keras_seq.console import import_quietly, print_status
from keras_seq.errors import UserError
from keras_seq.files import refuse_stream
from keras_seq.tasks import all_tasks
from keras_seq.tasks.loading.options import add_loading_options, make_loader, weights_path

SAMPLES = 1000

DESCRIPTION = """\
Exports a model as SavedModel, TFLite and ONNX, and proves that each computes what Keras computes.

  python -m export                                    the newest run below runs/, every format
  python -m export runs/NAME --format tflite --output bundles/NAME
  python -m export model.keras --format onnx --output bundles/NAME --data reviews.csv
  python -m export my_model.keras                     any Keras model: LSTM, GRU, attention …
  python -m export old_model.h5                       also one of Keras 2
  python -m export --import file.py:build --weights my.weights.h5
  python -m export my_model.keras --stream            also one step of it, state in and state out
  python -m export check BUNDLE                       verify hashes and parity again
  python -m export inspect BUNDLE                     signatures, operators, sizes
  python -m export serve BUNDLE [BUNDLE …]            the Open Inference Protocol: HTTP and gRPC
  python -m export bench-serve URL                    how fast a server answers
  python -m export deploy BUNDLE --target kserve      what serves it on Kubernetes; or: triton
"""


def make_parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m export",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--version", action="version", version=f"keras-seq {__version__}")
    add = arguments.add_argument
    add(
        "model",
        metavar="MODEL",
        nargs="?",
        help="run folder, .keras or .h5 file of any version of Keras, SavedModel folder of "
        "Keras 2, or preset:NAME (default: the newest run)",
    )
    add(
        "--format",
        choices=(*formats.NAMES, "all"),
        nargs="+",
        default=["all"],
        help="formats to write (default: all)",
    )
    add(
        "--signatures",
        nargs="+",
        metavar="NAME",
        help="signatures to write, such as classify_text; interactive: those that an app with live "
        "results calls (default: all)",
    )
    add("--output", metavar="BUNDLE", help="folder to make (default: bundles/NAME)")
    add("--overwrite", action="store_true", help="replace a folder that isn't empty")
    add("--batch", type=int, default=1, metavar="B", help="rows of a TFLite call (default: 1)")
    add(
        "--max-length",
        type=int,
        metavar="T",
        help="steps of a TFLite row (token ids, frames); tokens read of a text (default: the "
        "model's)",
    )
    add(
        "--max-new-tokens",
        type=int,
        metavar="N",
        help="largest number of tokens to write (default: the model's; for a text generator what "
        "--max-length leaves of its positions, or half of them)",
    )
    add("--num-beams", type=int, metavar="K", help="beams of a translator's search (default: 4)")
    add("--beam", dest="num_beams", type=int, help=argparse.SUPPRESS)
    add(
        "--max-bytes",
        type=int,
        metavar="L",
        help="bytes that are read of a text (default: 8 a token; 512 for other Keras models)",
    )
    add("--dynamic-batch", action="store_true", help="leave the batch open in TFLite, too")
    add("--dynamic-length", action="store_true", help="leave the length open in TFLite, too")
    add(
        "--stream",
        action="store_true",
        help="also write `stream`: one step of a recurrent Keras model, its state in and out",
    )
    add(
        "--sample",
        metavar="FILE.npz",
        help="inputs of a Keras model to compare on, arrays by the names of its inputs",
    )
    add_loading_options(arguments)
    add_options(
        arguments,
        [task.data for task in all_tasks()],
        defaults={"name_or_path": "the run's own data; random inputs for other models"},
    )
    add(
        "--samples",
        type=int,
        default=SAMPLES,
        metavar="N",
        help=f"largest number of texts to compare on (default: {SAMPLES})",
    )
    return arguments


def run(arguments: argparse.Namespace) -> int:
    if arguments.model:
        refuse_stream(arguments.model)
    # Formats are written with TensorFlow, whatever backend the model was trained with.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import_quietly("keras_seq.tasks.loading.load")
    from export.exporter import export_model
    from keras_seq.tasks.loading import find_model

    sample = _load_sample(arguments.sample)
    loader = make_loader(arguments, sample)
    path = _find_path(arguments, loader)
    output = Path(arguments.output or Path("bundles") / path.stem.removeprefix(presets.PREFIX))
    bundle.refuse_existing(output, arguments.overwrite)
    if arguments.samples < 1:
        raise UserError(f"--samples is 1 or more. Received: {arguments.samples}")
    print_status(f"Loading {path}")
    weights = weights_path(arguments)
    if loader.builds:
        model, run = loader.build(weights), None
    else:
        model, run = find_model(path, loader, weights)
    texts, name = _load_texts(arguments, run, model)
    dynamic = {"batch": arguments.dynamic_batch, "length": arguments.dynamic_length}
    manifest = export_model(
        model,
        output,
        formats.NAMES if "all" in arguments.format else arguments.format,
        texts=texts,
        texts_name=name,
        batch=arguments.batch,
        max_length=arguments.max_length,
        max_new_tokens=arguments.max_new_tokens,
        max_bytes=arguments.max_bytes,
        num_beams=arguments.num_beams,
        sample=sample,
        dynamic=[size for size, wanted in dynamic.items() if wanted],
        stream=arguments.stream,
        only=arguments.signatures,
        **_read_history(str(path), run),
        overwrite=arguments.overwrite,
        say=print_status,
    )
    print_parity(manifest)
    print_status(f"The bundle is in {output}.")
    return 0


def _find_path(arguments: argparse.Namespace, loader: Any) -> Path:
    """Returns what is exported: the model, the file of the function that builds it, or a run.

    Raises:
        UserError: If there are a model and a function that builds one.
    """
    from keras_seq.training.run import Run

    if not loader.builds:
        return Path(arguments.model) if arguments.model else Run.newest().path
    if arguments.model:
        raise UserError(
            f"--import builds a model, and {arguments.model} is another. Leave one of them out; "
            "weights for the first are named so: --weights FILE"
        )
    return Path(next(name for name in arguments.modules if ":" in name).rpartition(":")[0])


def _read_history(path: str, run: Any) -> dict[str, Any]:
    """Returns what the model was trained on and how well it did there, where that is known."""
    from keras_seq.tasks.evaluation import source_of

    if path.startswith(presets.PREFIX):
        about = presets.about(path)
        provenance = {key: about[key] for key in ("data", "licence") if key in about}
        return {"metrics": about["metrics"], "trained_on": provenance}
    if run is None:
        return {}
    return {"metrics": run.evaluation, "trained_on": source_of(run).provenance()}


def _load_sample(path: str | None) -> dict[str, Any] | None:
    """Returns the arrays of an `.npz` file.

    Raises:
        UserError: If it cannot be read.
    """
    from keras_seq.data.arrays import read_arrays

    if path is None:
        return None
    try:
        sample = read_arrays(path)
    except UserError as error:
        raise UserError(
            f"The sample can't be used: {error} Make one with numpy.savez(path, NAME=array for "
            "each input)."
        ) from error
    if not sample or any(array.ndim == 0 or len(array) == 0 for array in sample.values()):
        raise UserError(f"{path} has no rows. Each array of a sample needs at least one.")
    return sample


def _load_texts(
    arguments: argparse.Namespace, run: Any, model: Any
) -> tuple[list[str] | None, str]:
    """Returns texts to compare on, and what they are; None where there are none."""
    from keras_seq.tasks.evaluation import source_of

    if not arguments.name_or_path and run is None:
        return None, ""
    first, *_ = tasks = all_tasks()
    # A Keras model from outside takes texts as the first task does.
    task = next((task for task in tasks if task.name == getattr(model, "task", None)), first)
    if arguments.name_or_path:
        source = task.data(**read_options(arguments, task.data)).for_model(model)
    else:
        source = source_of(run, arguments.data_dir)
    if task.comparison_texts is None:
        return None, ""
    texts, name = task.comparison_texts(source.load(), arguments.samples)
    return list(texts), name
