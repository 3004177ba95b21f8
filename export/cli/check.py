"""`python -m export check`."""

import argparse
from pathlib import Path

from export import bundle
from export.cli.figures import print_figures
from keras_seq.console import import_quietly, print_status
from keras_seq.errors import UserError


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m export check",
        description="Verifies the hashes of a bundle, then runs each format whose runtime is "
        "installed on the inputs that the bundle carries and compares with Keras's answers. Needs "
        "neither TensorFlow nor Keras.",
    )
    found.add_argument("bundle", metavar="BUNDLE")
    return found


def run(arguments: argparse.Namespace) -> int:
    from export import parity, runtime
    from keras_seq.signature import SignatureSpec

    folder = Path(arguments.bundle)
    manifest = bundle.read_manifest(folder)
    bundle.verify(folder, manifest)
    print_status(f"{len(manifest['files'])} files are what was exported.")
    inputs, expected = parity.load_reference(folder / bundle.PARITY)
    specs = [SignatureSpec.from_json(name, manifest["signatures"][name]) for name in inputs]
    installed = [name for name in manifest["formats"] if runtime.is_installed(name)]
    for name in manifest["formats"]:
        if name not in installed:
            print_status(f"{name} is not run: {runtime.RUNTIMES[name].INSTALL}")
    if not installed:
        raise UserError("No runtime is installed, so nothing was compared with Keras.")
    if "saved_model" in installed:
        import_quietly("tensorflow")
    found = {}
    for name in installed:
        loaded = runtime.load(folder, name, threads=1)
        advice = f"Do not use {name} here: export the model again, or report this."
        found[name] = parity.prove(loaded, specs, inputs, expected, advice)
    print_figures(found, manifest, f"{parity.DRAWN_ROWS} random inputs")
    return 0
