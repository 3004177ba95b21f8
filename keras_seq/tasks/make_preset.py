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
        description="Puts a run's model into the package, with weights in half precision, and the "
        "results of that very model.",
    )
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("name", metavar="NAME", help="of the preset")
    parser.add_argument("made_by", metavar="COMMAND", help="that trained the run")
    parsed = parser.parse_args(arguments)
    return run_command(lambda: _make(parsed))


def _make(arguments: argparse.Namespace) -> int:
    import_quietly("keras_seq.models")
    from keras_seq.data.licences import described
    from keras_seq.models import load_model
    from keras_seq.tasks.registry import evaluated, held_out
    from keras_seq.training.run import Run, uncompiled, write_json

    run = Run.open(arguments.run)
    folder = presets.FOLDER / arguments.name
    folder.mkdir(exist_ok=True)
    path = folder / "model.keras"
    uncompiled(load_model(run.model_path)).save(path)
    _halve(path)
    corpus = held_out(run)
    metrics = evaluated(load_model(path), run, corpus.held_out, corpus.name)
    settings = {key: run.config[key] for key in ("task", "settings")}
    made = {"command": arguments.made_by, **described(corpus.name), **settings, "metrics": metrics}
    write_json(folder / "preset.json", made)
    print_status(f"{path}: {path.stat().st_size:,} bytes")
    print(json.dumps(metrics))
    return 0


def _halve(path: Any) -> None:
    """Writes the weights in a `.keras` file as float16, compressed."""
    import h5py

    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            content = old.read(member)
            if member.endswith(".h5"):
                smaller = io.BytesIO()
                with h5py.File(io.BytesIO(content)) as source, h5py.File(smaller, "w") as target:
                    _copy(source, target)
                content = smaller.getvalue()
            new.writestr(member, content)
    os.replace(partial, path)


def _copy(source: Any, target: Any) -> None:
    """A group of an HDF5 file into another, floats in half precision."""
    for key, value in source.attrs.items():
        target.attrs[key] = value
    for name, item in source.items():
        if hasattr(item, "items"):
            _copy(item, target.create_group(name))
            continue
        array = item[()]
        half = getattr(array, "dtype", None) == "float32"
        target.create_dataset(name, data=array.astype("float16") if half else array)


if __name__ == "__main__":
    raise SystemExit(main())
