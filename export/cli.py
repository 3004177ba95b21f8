"""`python -m export`, with `check` and `inspect`."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export import bundle, formats
from keras_seq import __version__, presets
from keras_seq.console import import_quietly, run_command, stage, table
from keras_seq.errors import UserError

SAMPLES = 1000
PROMPT_CHARACTERS = 60  # Of the prompts that a generator is compared on.

DESCRIPTION = """\
Exports a model as SavedModel, TFLite and ONNX, and proves that each computes what Keras computes.

  python -m export                                    the newest run below runs/, every format
  python -m export runs/NAME --format tflite --output bundles/NAME
  python -m export model.keras --format onnx --output bundles/NAME --data reviews.csv
  python -m export my_model.keras                     any Keras 3 model: LSTM, GRU, attention …
  python -m export my_model.keras --stream            also one step of it, state in and state out
  python -m export check BUNDLE                       verify hashes and parity again
  python -m export inspect BUNDLE                     signatures, operators, sizes
  python -m export serve BUNDLE [BUNDLE …]            the Open Inference Protocol: HTTP and gRPC
"""


SERVE = """\
Serves bundles, each signature as the model BUNDLE.SIGNATURE; BUNDLE alone is its main signature on
texts. Texts are BYTES on the wire. Needs neither TensorFlow nor Keras.

  curl localhost:8080/v2/models/sentiment/infer -d \\
    '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A fine film."]}]}'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    import sys

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["check"]:
        parsed, command = _check_parser().parse_args(arguments[1:]), _check
    elif arguments[:1] == ["inspect"]:
        parsed, command = _inspect_parser().parse_args(arguments[1:]), _inspect
    elif arguments[:1] == ["serve"]:
        parsed, command = _serve_parser().parse_args(arguments[1:]), _serve
    else:
        parsed, command = _export_parser().parse_args(arguments), _export
    return run_command(lambda: command(parsed))


def _export_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-seq {__version__}")
    add = parser.add_argument
    add(
        "model",
        metavar="MODEL",
        nargs="?",
        help="a run folder, a .keras file, an .h5 file, or preset:NAME",
    )
    add(
        "--format",
        choices=(*formats.NAMES, "all"),
        nargs="+",
        default=["all"],
        help="one or more (default: all)",
    )
    add(
        "--signatures",
        nargs="+",
        metavar="NAME",
        help="those to write, such as classify_text (default: all of the model's)",
    )
    add("--output", metavar="BUNDLE", help="the folder to make (default: bundles/NAME)")
    add("--overwrite", action="store_true", help="replace a folder that is not empty")
    add("--batch", type=int, default=1, metavar="B", help="rows of a TFLite call (default: 1)")
    add(
        "--max-length",
        type=int,
        metavar="T",
        help="steps of a TFLite row: token ids, frames; tokens read of a text (default: the "
        "model's)",
    )
    add(
        "--max-new-tokens",
        type=int,
        metavar="N",
        help="tokens that are written at most (default: the model's; of a text generator what "
        "--max-length leaves of these, or half of them)",
    )
    add("--beam", type=int, metavar="K", help="beams of a translator's search (default: 4)")
    add(
        "--max-bytes",
        type=int,
        metavar="L",
        help="bytes read of a text (default: 8 for each token; 512 for another Keras model)",
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
    add(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file or module that registers the model's own layers; may be repeated",
    )
    add("--data", metavar="NAME_OR_FILE", help="texts to compare on; a run has its own")
    add("--text-column", default="text", metavar="NAME", help="column of the text (default: text)")
    add("--label-column", default="label", metavar="NAME", help="of the label (default: label)")
    add("--data-dir", metavar="FOLDER", help="where public data sets lie; else KERAS_SEQ_DATA")
    add(
        "--samples",
        type=int,
        default=SAMPLES,
        metavar="N",
        help=f"texts to compare on, at most (default: {SAMPLES})",
    )
    return parser


def _check_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export check",
        description="Verifies the hashes of a bundle, then runs each format whose runtime is "
        "installed on the inputs that the bundle carries and compares with Keras's answers. Needs "
        "neither TensorFlow nor Keras.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    return parser


def _inspect_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export inspect",
        description="Prints the signatures, operators and sizes of a bundle.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    return parser


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export serve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=SERVE,
    )
    add = parser.add_argument
    add("bundles", metavar="BUNDLE", nargs="+", type=Path)
    add("--host", default="127.0.0.1", help="(default: 127.0.0.1, this machine only)")
    add("--http-port", type=int, default=8080, metavar="N", help="(default: 8080; 0: a free one)")
    add("--grpc-port", type=int, default=8081, metavar="N", help="(default: 8081; 0: a free one)")
    add("--no-grpc", action="store_true", help="HTTP only")
    add("--workers", type=int, default=1, metavar="N", help="calls at once (default: 1)")
    add("--threads", type=int, metavar="N", help="of each (default: the cores, divided)")
    add("--max-batch", type=int, default=16, metavar="B", help="rows run together (default: 16)")
    add(
        "--max-wait-ms",
        type=float,
        default=0.0,
        metavar="X",
        help="that the first of a batch waits for others while nothing runs (default: 0)",
    )
    add("--max-queue", type=int, default=256, metavar="N", help="that may wait (default: 256)")
    add("--deadline", type=float, default=30.0, metavar="S", help="seconds to wait (default: 30)")
    add("--max-body-bytes", type=int, default=16_000_000, metavar="N", help="(default: 16 MB)")
    add("--token-file", type=Path, metavar="FILE", help="a bearer token that is asked for")
    add("--grace", type=int, default=30, metavar="S", help="seconds to end in (default: 30)")
    return parser


def _serve(arguments: argparse.Namespace) -> int:
    import asyncio

    try:
        from export.serving.batching import Limits
        from export.serving.server import Settings, serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed. To serve: pip install 'keras-seq[serve]'"
        ) from error
    for option in ("workers", "max_batch", "max_queue", "max_body_bytes", "grace"):
        if getattr(arguments, option) < 1:
            name = option.replace("_", "-")
            raise UserError(f"--{name} is 1 or more. Received: {getattr(arguments, option)}")
    settings = Settings(
        host=arguments.host,
        http_port=arguments.http_port,
        grpc_port=None if arguments.no_grpc else arguments.grpc_port,
        workers=arguments.workers,
        threads=arguments.threads,
        limits=Limits(
            arguments.max_batch, arguments.max_wait_ms, arguments.max_queue, arguments.deadline
        ),
        token=_token(arguments.token_file),
        max_body_bytes=arguments.max_body_bytes,
        grace_s=arguments.grace,
    )
    asyncio.run(serve(arguments.bundles, settings, stage))
    return 0


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    token = path.read_text("utf-8").strip()
    if not token:
        raise UserError(f"{path} is empty: it has to hold the token.")
    return token


def _export(arguments: argparse.Namespace) -> int:
    # Whatever the model was trained with.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import_quietly("keras_seq.training")
    from export.exporter import export
    from keras_seq.training.run import Run, find_model

    path = Path(arguments.model) if arguments.model else Run.newest().path
    output = Path(arguments.output or Path("bundles") / path.stem.removeprefix(presets.PREFIX))
    bundle.refuse_existing(output, arguments.overwrite)
    if arguments.samples < 1:
        raise UserError(f"--samples is 1 or more. Received: {arguments.samples}")
    for module in arguments.modules:
        _import(module)
    sample = _sample(arguments.sample)
    stage(f"Loading {path}")
    model, run = find_model(path)
    texts, name = _texts(arguments, run, model)
    dynamic = {"batch": arguments.dynamic_batch, "length": arguments.dynamic_length}
    manifest = export(
        model,
        output,
        formats.NAMES if "all" in arguments.format else arguments.format,
        texts=texts,
        texts_name=name,
        batch=arguments.batch,
        max_length=arguments.max_length,
        max_new_tokens=arguments.max_new_tokens,
        max_bytes=arguments.max_bytes,
        beam=arguments.beam,
        sample=sample,
        dynamic=[size for size, wanted in dynamic.items() if wanted],
        stream=arguments.stream,
        only=arguments.signatures,
        **_history(str(path), run),
        overwrite=arguments.overwrite,
        say=stage,
    )
    print_parity(manifest)
    stage(f"The bundle is in {output}.")
    return 0


def _history(path: str, run: Any) -> dict[str, Any]:
    """What the model was trained on, and how well it did there, where that is known."""
    from keras_seq.data.licences import described

    if path.startswith(presets.PREFIX):
        about = presets.about(path)
        return {"metrics": about["metrics"], "trained_on": described(about["data"])}
    if run is None:
        return {}
    name = Path(run.config["data"]["name_or_path"]).name
    return {"metrics": run.evaluation, "trained_on": described(name)}


def _import(name: str) -> None:
    """Imports a Python file or module, so that it registers its layers.

    Raises:
        UserError: If there is none, or it fails.
    """
    import importlib
    import runpy

    try:
        if name.endswith(".py"):
            runpy.run_path(name, run_name=Path(name).stem)
        else:
            importlib.import_module(name)
    except Exception as error:
        raise UserError(f"--import {name}: {type(error).__name__}: {error}") from error


def _sample(path: str | None) -> dict[str, Any] | None:
    """The arrays of an `.npz` file.

    Raises:
        UserError: If it cannot be read.
    """
    import numpy as np

    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            sample = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read as a sample: {error} Make one with numpy.savez(path, "
            "NAME=array for each input)."
        ) from error
    if not sample or any(array.ndim == 0 or len(array) == 0 for array in sample.values()):
        raise UserError(f"{path} has no rows: a sample is arrays with at least one row each.")
    return sample


def _texts(arguments: argparse.Namespace, run: Any, model: Any) -> tuple[list[str] | None, str]:
    """Texts to compare on, and what they are."""
    from keras_seq import data
    from keras_seq.data.texts import pieces
    from keras_seq.training.tasks import held_out

    if not arguments.data and run is None:
        return None, ""
    source = {"text_column": arguments.text_column, "data_dir": arguments.data_dir}
    if not arguments.data:
        corpus = held_out(run, arguments.data_dir)
    elif getattr(model, "task", "") == "generate":
        corpus = data.load_texts(arguments.data, **source)
    elif getattr(model, "task", "") == "translate":
        corpus = data.load_pairs(
            arguments.data,
            source=model.source,
            target=model.target,
            data_dir=arguments.data_dir,
        )
    else:
        corpus = data.load(arguments.data, label_column=arguments.label_column, **source)
    if isinstance(corpus, data.PairCorpus):
        return corpus.held_out.sources[: arguments.samples], f"held-out sources of {corpus.name}"
    if not isinstance(corpus, data.TextCorpus):
        return corpus.held_out.texts[: arguments.samples], f"held-out texts of {corpus.name}"
    prompts = pieces(corpus.held_out, arguments.samples, PROMPT_CHARACTERS)
    return prompts, f"held-out prompts of {corpus.name}"


def _check(arguments: argparse.Namespace) -> int:
    from export import parity, runtime
    from keras_seq.signature import SignatureSpec

    folder = Path(arguments.bundle)
    manifest = bundle.read_manifest(folder)
    bundle.verify(folder, manifest)
    stage(f"{len(manifest['files'])} files are what was exported.")
    inputs, expected = parity.load_reference(folder / bundle.PARITY)
    specs = [SignatureSpec.from_json(name, manifest["signatures"][name]) for name in inputs]
    installed = [name for name in manifest["formats"] if runtime.is_installed(name)]
    for name in manifest["formats"]:
        if name not in installed:
            stage(f"{name} is not run: {runtime.RUNTIMES[name].INSTALL}")
    if not installed:
        raise UserError("No runtime is installed, so nothing was compared with Keras.")
    if "saved_model" in installed:
        import_quietly("tensorflow")
    found = {name: parity.prove(folder, name, specs, inputs, expected) for name in installed}
    _print_figures(found, manifest, f"{parity.DRAWN_ROWS} random inputs")
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    from export import card

    folder = Path(arguments.bundle)
    manifest = bundle.read_manifest(folder)
    bundle.verify(folder, manifest)
    print(
        f"{folder}: {manifest['task']}, {manifest['backbone']}, {manifest['parameters']:,} "
        f"parameters, labels: {', '.join(manifest['labels']) or 'none'}"
    )
    table(
        ("signature", "inputs", "outputs"),
        [
            (name, card.tensors(spec["inputs"]), card.tensors(spec["outputs"]))
            for name, spec in manifest["signatures"].items()
        ],
    )
    if manifest["tokenizer"]:
        print(
            f"The tokenizer's tables take {manifest['tokenizer_bytes']:,} bytes of each file that "
            "reads texts.\n"
        )
        rows = [(name, f"{ms:.2f} ms") for name, ms in _text_latency(manifest).items()]
        table(("format", "reading a text adds"), rows, "Median, for the longest text compared")
    table(
        ("file", "bytes"),
        [(name, f"{file['bytes']:,}") for name, file in manifest["files"].items()],
    )
    for name in manifest["formats"]:
        try:
            if name == "saved_model":
                import_quietly("tensorflow")
            found = formats.module(name).operators(folder)
        except ImportError as error:
            stage(f"{name}: its operators are not counted: {error.name} is not installed.")
            continue
        counts = ", ".join(f"{operator} {count}" for operator, count in sorted(found.items()))
        print(f"{name}: {counts}\n")
    return 0


def _text_latency(manifest: dict[str, Any]) -> dict[str, float]:
    """How much longer a call takes that begins with a text and not with token ids, by format."""
    found = {}
    for name, figures in manifest["parity"]["formats"].items():
        for signature, values in figures.items():
            if f"{signature}_text" in figures:
                text = figures[f"{signature}_text"]
                found[name] = text["latency_ms"] - values["latency_ms"]
    return found


def print_parity(manifest: dict[str, Any]) -> None:
    """Prints how each format of a bundle compared with Keras."""
    _print_figures(manifest["parity"]["formats"], manifest, manifest["parity"]["inputs"])


def _print_figures(figures: dict[str, Any], manifest: dict[str, Any], inputs: str) -> None:
    rows = [
        (
            name,
            signature,
            f"{values['largest_difference']:.1e}",
            f"{values['agreement']:.2%}",
            f"{manifest['formats'][name]['bytes'] / 1e6:.2f} MB",
            f"{values['latency_ms']:.2f} ms",
        )
        for name, signatures in figures.items()
        for signature, values in signatures.items()
    ]
    columns = ("format", "signature", "largest difference", "same answer", "size", "latency")
    table(columns, rows, f"Compared with Keras on {inputs}; latency of the longest alone")
