"""`python -m keras_seq.tasks.make_preset RUN NAME COMMAND`: makes a preset of a run."""

import argparse
import io
import json
import os
import zipfile
from collections.abc import Sequence
from typing import Any

from keras_seq import presets
from keras_seq.console import import_quietly, print_status, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_seq.tasks.make_preset",
        description="Puts the model of a run into the package, with weights in half precision and "
        "the results of exactly that model.",
    )
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("name", metavar="NAME", help="name of the preset")
    parser.add_argument("command", metavar="COMMAND", help="the command that trained the run")
    parsed = parser.parse_args(arguments)
    return run_command(lambda: _make(parsed))


def _make(arguments: argparse.Namespace) -> int:
    import_quietly("keras")
    from keras_seq.tasks.evaluation import evaluate_run, source_of
    from keras_seq.tasks.loading import load_model
    from keras_seq.training.run import Run, copy_uncompiled, write_json

    run = Run.open(arguments.run)
    folder = presets.FOLDER / arguments.name
    folder.mkdir(exist_ok=True)
    path = folder / "model.keras"
    copy_uncompiled(load_model(run.model_path)).save(path)
    _convert_to_half(path)
    metrics = evaluate_run(load_model(path), run)
    settings = {key: run.config[key] for key in ("task", "settings")}
    provenance = source_of(run).provenance()
    about = {"command": arguments.command, **provenance, **settings, "metrics": metrics}
    write_json(folder / "preset.json", about)
    print_status(f"{path}: {path.stat().st_size:,} bytes")
    print(json.dumps(metrics))
    return 0


def _convert_to_half(path: Any) -> None:
    """Writes the weights in a `.keras` file as float16, compressed."""
    import h5py

    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            content = old.read(member)
            if member.endswith(".h5"):
                smaller = io.BytesIO()
                with h5py.File(io.BytesIO(content)) as source, h5py.File(smaller, "w") as target:
                    _copy_group(source, target)
                content = smaller.getvalue()
            new.writestr(member, content)
    os.replace(partial, path)


def _copy_group(source: Any, target: Any) -> None:
    """Copies a group of an HDF5 file, floats in half precision."""
    for key, value in source.attrs.items():
        target.attrs[key] = value
    for name, item in source.items():
        if hasattr(item, "items"):
            _copy_group(item, target.create_group(name))
            continue
        array = item[()]
        half = getattr(array, "dtype", None) == "float32"
        target.create_dataset(name, data=array.astype("float16") if half else array)


if __name__ == "__main__":
    raise SystemExit(main())
