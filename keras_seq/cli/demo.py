"""`keras-seq demo`."""

import argparse
from pathlib import Path
from typing import Any

from keras_seq.cli.evaluate import print_metrics
from keras_seq.console import import_quietly, print_status, print_table
from keras_seq.training.memory import keep_freed_memory

SENTENCES = (
    "A wonderful film: warm, funny, and over far too soon.",
    "I want these two hours of my life back.",
    "The acting is fine, but the story goes nowhere and takes its time about it.",
)


def add(commands: Any) -> None:
    """Adds the command."""
    demo = commands.add_parser(
        "demo",
        help="train, export, prove and predict, in a few minutes",
        description="Trains a bidirectional LSTM on film reviews, exports it to SavedModel, TFLite "
        "and ONNX, compares the three with Keras, and classifies a few sentences in each.",
    )
    demo.add_argument("--output", default="runs/demo", help="folder (default: runs/demo)")
    demo.add_argument("--overwrite", action="store_true", help="replace that folder")
    demo.set_defaults(command=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from export.bundle import list_formats, new_folder, refuse_existing
    from keras_seq import data

    output = Path(arguments.output)
    run_path, bundle_path = output / "run", output / "bundle"
    for path in (run_path, bundle_path):
        refuse_existing(path, arguments.overwrite)
    corpus = data.load("movie_reviews")
    keep_freed_memory()
    import_quietly("keras_seq.models")
    import export
    from export.cli.figures import print_parity
    from keras_seq.tasks.classify.training import BACKBONES
    from keras_seq.training import Run, train_classifier

    settings = BACKBONES["lstm"]
    with new_folder(run_path, arguments.overwrite) as folder:
        run = Run.new(folder, "demo")
        source = {"name_or_path": corpus.name}
        model = train_classifier(corpus, settings, run, source)
    metrics = Run.open(run_path).evaluation
    print_metrics(metrics)
    manifest = export.export(
        model,
        bundle_path,
        texts=corpus.held_out.texts[:1000],
        texts_name=f"held-out texts of {corpus.name}",
        metrics=metrics,
        overwrite=arguments.overwrite,
        say=print_status,
    )
    print_parity(manifest)
    rows = []
    for sentence in SENTENCES:
        answers = []
        for name in list_formats(manifest):
            loaded = export.load(bundle_path, name)
            row = loaded.classify_text([sentence])["probabilities"][0]
            answers.append(f"{loaded.labels[row.argmax()]} {row.max():.4f}")
        rows.append((sentence, *answers))
    print_table(("text", *list_formats(manifest)), rows, "The same sentences in each runtime")
    print_status(f"The run is in {run_path}, the bundle in {bundle_path}.")
    return 0
