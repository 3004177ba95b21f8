"""`python -m export check`."""

import argparse
from pathlib import Path

from export import bundle, formats
from export.card import name_variant
from export.cli.figures import print_figures
from export.manifest import read_specs
from keras_seq.console import import_quietly, print_status
from keras_seq.errors import UserError


def make_parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m export check",
        description="Verifies the hashes of a bundle, then runs each format whose runtime is "
        "installed on the inputs that the bundle carries and compares with Keras's answers. Needs "
        "neither TensorFlow nor Keras. TFLite and ONNX files can do nothing but compute; a "
        "SavedModel can also write files, so that it is run only with --trust.",
    )
    arguments.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle")
    arguments.add_argument(
        "--trust",
        action="store_true",
        help="run the bundle's SavedModel, too: you know who made it",
    )
    return arguments


def run(arguments: argparse.Namespace) -> int:
    from export import parity, runtime

    folder = Path(arguments.bundle)
    manifest = bundle.read_manifest(folder)
    bundle.verify(folder, manifest)
    print_status(f"{len(manifest['files'])} files match their hashes.")
    specs = read_specs(manifest)
    with bundle.open_listed(folder, manifest, bundle.PARITY) as file:
        inputs, expected = parity.load_reference(file, specs)
    compared, left_out = [], []
    for variant in manifest["variants"]:
        format, precision = variant["format"], variant["precision"]
        if not formats.is_installed(format):
            left_out.append(formats.install_command(format))
            print_status(f"{format} is not run: {left_out[-1]}")
            continue
        trusted = arguments.trust or bundle.is_own(manifest)
        if formats.module(format).RUNS_CODE and not trusted:
            left_out.append("--trust")
            print_status(
                f"{format} is not run: it is a program, which can write files on your computer. If "
                "you know who made the bundle, run it: --trust"
            )
            continue
        if formats.module(format).REQUIRES == "tensorflow":
            import_quietly("tensorflow")
        loaded = runtime.load(folder, format, 1, precision, trust=arguments.trust)
        present = [specs[name] for name in inputs if name in loaded.signatures]
        advice = f"Do not use {name_variant(variant)} here: export the model again, or report this."
        figures = parity.prove(loaded, present, inputs, expected, advice)
        compared.append({**variant, "signatures": figures})
    if not compared:
        raise UserError(f"Nothing was run or compared with Keras: {' or '.join(left_out)}")
    print_figures(compared, manifest, f"{parity.RANDOM_ROWS} random inputs")
    return 0
