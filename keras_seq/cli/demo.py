"""`keras-seq demo`."""

import argparse
from pathlib import Path
from typing import Any

from keras_seq.console import import_quietly, print_status, print_table
from keras_seq.tasks import Task, all_tasks

COMPARED = 1000  # held-out texts on which the exported files are compared with Keras


def add(commands: Any) -> None:
    """Adds the command."""
    task = next(task for task in all_tasks() if task.demo_texts)
    demo = commands.add_parser(
        "demo",
        help="train, export, prove and predict, in a few minutes",
        description=f"Trains a model on the data set {task.default_data}, exports it to "
        "SavedModel, TFLite and ONNX, compares the three with Keras, and prints what each of them "
        "answers to a few sentences.",
    )
    demo.add_argument("--output", default="runs/demo", help="folder to make (default: runs/demo)")
    demo.add_argument("--overwrite", action="store_true", help="replace that folder")
    demo.set_defaults(command=run_demo, task=task)


def run_demo(arguments: argparse.Namespace) -> int:
    from keras_seq import bundles

    task: Task = arguments.task
    output = Path(arguments.output)
    run_path, bundle_path = output / "run", output / "bundle"
    for path in (run_path, bundle_path):
        bundles.refuse_existing(path, arguments.overwrite)
    source = task.data(task.default_data)
    corpus = source.load()
    import_quietly("keras_seq.training.session")
    from keras_seq.training.memory import keep_freed_memory
    from keras_seq.training.run import Run
    from keras_seq.training.session import Session

    keep_freed_memory()
    settings = next(iter(task.settings.values()))
    with bundles.new_folder(run_path, arguments.overwrite) as folder:
        model = Session(task, corpus, settings, Run.new(folder, "demo"), source).train()
    metrics = Run.open(run_path).evaluation
    task.print_metrics(metrics)
    texts, name = task.comparison_texts(corpus, COMPARED)
    manifest = bundles.export(
        model,
        bundle_path,
        texts=texts,
        texts_name=name,
        metrics=metrics,
        trained_on=source.provenance(),
        overwrite=arguments.overwrite,
        say=print_status,
    )
    bundles.print_parity(manifest)
    formats = bundles.list_formats(manifest)
    answers = [task.answer(bundles.load(bundle_path, name), task.demo_texts) for name in formats]
    rows = [(text, *row) for text, *row in zip(task.demo_texts, *answers, strict=True)]
    print_table(("text", *formats), rows, "The same sentences in each runtime")
    print_status(f"The run is in {run_path}, the bundle in {bundle_path}.")
    return 0
