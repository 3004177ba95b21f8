"""`keras-seq train | evaluate | predict | demo`."""

import argparse
import dataclasses
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
    _add_classify(tasks)

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


def _add_classify(tasks: Any) -> None:
    classify = tasks.add_parser(
        "classify",
        help="learn labels of texts",
        description="Trains a text classifier and keeps it in a run folder. Ctrl-C saves it; "
        "--resume goes on.",
        epilog="Data sets: movie_reviews (25,000 IMDB reviews), sst2 (sentences of film reviews).",
    )
    _add_data(classify, "movie_reviews")
    model = classify.add_argument_group("model")
    add = model.add_argument
    add("--backbone", choices=("rnn", "lstm", "transformer"), default="lstm")
    add(
        "--tokenizer",
        choices=("sentencepiece", "bytes"),
        help="what a token is: a piece learnt from the texts, or a byte (default: sentencepiece)",
    )
    add("--vocabulary-size", type=int, metavar="N", help="pieces at most (default: 8000)")
    add("--max-length", type=int, metavar="N", help="tokens read of a text (default: 320)")
    add("--hidden-dim", type=int, metavar="N", help="width of the model (default: 64)")
    add("--num-layers", type=int, metavar="N", help="(default: 1; transformer 2)")
    add("--dropout", type=float, metavar="X", help="(default: 0.4; rnn 0.3, transformer 0.2)")
    _add_training(
        classify,
        epochs="(default: 2; rnn 3)",
        learning_rate="(default: 0.002; rnn and transformer 0.001)",
    )
    classify.set_defaults(command=_train_classify, parser=classify)


def _add_training(parser: argparse.ArgumentParser, epochs: str, learning_rate: str) -> None:
    run = parser.add_argument_group("run")
    add = run.add_argument
    add("--output", metavar="RUN", help="the run folder to make (default: runs/NAME-TIME)")
    add("--resume", metavar="RUN", help="go on with a run, with its own data and settings")
    add("--checkpoint-seconds", type=float, metavar="X", help="between checkpoints (default: 120)")
    add("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    training = parser.add_argument_group("training")
    add = training.add_argument
    add("--epochs", type=int, metavar="N", help=f"passes over the data {epochs}")
    add("--batch-size", type=int, metavar="N", help="texts a step (default: 64)")
    add("--learning-rate", type=float, metavar="X", help=f"of Adam {learning_rate}")
    add(
        "--schedule",
        choices=("constant", "inverse_sqrt", "cosine"),
        help="of the learning rate after the warm-up (default: constant)",
    )
    add("--warmup-steps", type=int, metavar="N", help="in which it rises (default: 0)")
    add("--weight-decay", type=float, metavar="X", help="of AdamW (default: 0)")
    add("--clip-norm", type=float, metavar="X", help="longest gradient (default: 0, any)")
    add("--accumulate", type=int, metavar="N", help="batches an update (default: 1)")
    add("--average", type=float, metavar="X", help="decay of averaged weights, such as 0.999")
    add("--label-smoothing", type=float, metavar="X", help="(default: 0)")
    add("--patience", type=int, metavar="N", help="epochs without a better result before the end")
    machine = parser.add_argument_group("machine", "KERAS_BACKEND=jax trains with JAX.")
    add = machine.add_argument
    add(
        "--precision",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        help="of the computation (default: float32)",
    )
    add("--devices", metavar="N", help="a number of GPUs, or all (default: 1)")
    add("--coordinator", metavar="HOST:PORT", help="where process 0 listens (several processes)")
    add("--processes", type=int, metavar="N", help="that train together, with JAX (default: 1)")
    add("--process-id", type=int, metavar="I", help="of this one, from 0 (default: 0)")


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
    if arguments.resume:
        _refuse_settings(arguments)
    from keras_seq import data

    source = None if arguments.resume else _source(arguments)
    corpus = None if source is None else data.load(**source)
    import_quietly("keras_seq.models")
    from keras_seq.training import ClassifierSettings, Run, train_classifier
    from keras_seq.training.classify import settings_for, settings_of

    devices = _devices(arguments)
    if arguments.resume:
        run = Run.resume(arguments.resume, "classify")
        settings, source = settings_of(run), run.config["data"]
        corpus = data.load(**source)
    else:
        settings = settings_for(**_settings(arguments, ClassifierSettings))
        run = Run.new(arguments.output, f"classify-{arguments.backbone}", devices.chief)
    train_classifier(corpus, settings, run, source, devices)
    if devices.chief:
        _print_metrics(run.evaluation)
        stage(
            f"Saved in {run.path}. Next: python -m export {run.path} "
            f"--output bundles/{run.path.name}"
        )
    return 0


MACHINE = ("resume", "devices", "coordinator", "processes", "process_id")


def _refuse_settings(arguments: argparse.Namespace) -> None:
    """A resumed run has its own settings: none may be given."""
    for name, value in vars(arguments).items():
        default = arguments.parser.get_default(name)
        if name not in (*MACHINE, "command", "parser") and value != default:
            raise UserError(
                f"A resumed run keeps its own settings. Received: --{name.replace('_', '-')} "
                f"{value}. Leave it out, or begin a new run without --resume."
            )


def _settings(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The arguments that are settings."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def _devices(arguments: argparse.Namespace) -> Any:
    from keras_seq.training import Devices

    count: Any = arguments.devices
    if count is not None and count != "all" and not count.isdecimal():
        raise UserError(f"--devices is a number from 1, or all. Received: {count}")
    # Each of several processes drives what it has.
    default = None if arguments.coordinator else 1
    return Devices(
        default if count is None else None if count == "all" else int(count),
        arguments.coordinator,
        1 if arguments.processes is None else arguments.processes,
        arguments.process_id or 0,
    )


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
    if not texts:
        raise UserError('There is no text. Give some: keras-seq predict RUN "A wonderful film."')
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
        model = train_classifier(corpus, settings, run, source)
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


def _shortened(text: str) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return text if len(text) <= 60 else f"{text[:59]}…"
