"""`keras-seq evaluate`."""

import argparse
import json
from typing import Any

from keras_seq.cli.options import add_data, labelled_source, texts_source
from keras_seq.console import import_quietly, table
from keras_seq.errors import UserError


def add(commands: Any) -> None:
    """Adds the command."""
    evaluate = commands.add_parser(
        "evaluate",
        help="results of a run",
        description="Prints how a model does on the run's held-out examples or texts, or on those "
        "of another data set: of a classifier accuracy, precision, recall and F1; of a generator "
        "loss, perplexity and bits a byte.",
    )
    evaluate.add_argument(
        "model", metavar="RUN", help="a run folder, a .keras file, or preset:NAME"
    )
    add_data(evaluate, None)
    evaluate.add_argument("--json", action="store_true", help="print the metrics as JSON")
    evaluate.set_defaults(command=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    import_quietly("keras_seq.models")
    from keras_seq.training.run import find_model

    model, run = find_model(arguments.model)
    if not arguments.data and run is None:
        raise UserError(f"{arguments.model} does not say on what to evaluate it: name --data.")
    evaluation = {"classify": _of_classifier, "generate": _of_generator}[model.task]
    metrics = evaluation(model, run, arguments)
    if arguments.json:
        print(json.dumps(metrics, ensure_ascii=False, indent=2))
    else:
        print_metrics(metrics)
    return 0


def _of_classifier(model: Any, run: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    from keras_seq import data
    from keras_seq.training import evaluate_classifier
    from keras_seq.training.run import held_out

    if not arguments.data:
        corpus = held_out(run, arguments.data_dir)
        return evaluate_classifier(model, corpus.held_out, corpus.name)
    if arguments.data in data.SOURCES:
        examples = data.load(**labelled_source(arguments)).held_out
    else:
        examples = data.read_labelled_texts(
            arguments.data, arguments.text_column, arguments.label_column
        )
    return evaluate_classifier(model, examples, arguments.data)


def _of_generator(model: Any, run: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    from keras_seq import data
    from keras_seq.training import evaluate_generator
    from keras_seq.training.run import held_out

    if not arguments.data:
        corpus = held_out(run, arguments.data_dir)
        return evaluate_generator(model, corpus.held_out, corpus.name)
    if arguments.data in data.TEXT_SOURCES:
        texts = data.load_texts(**texts_source(arguments)).held_out
    else:
        texts = data.read_texts(arguments.data, arguments.text_column)
    return evaluate_generator(model, texts, arguments.data)


def print_metrics(metrics: dict[str, Any]) -> None:
    """Prints a run's results as a table."""
    if "perplexity" in metrics:
        table(
            ("loss", "perplexity", "bits a byte", "tokens", "bytes"),
            [
                (
                    f"{metrics['loss']:.4f}",
                    f"{metrics['perplexity']:.3f}",
                    f"{metrics['bits_per_byte']:.4f}",
                    f"{metrics['tokens']:,}",
                    f"{metrics['bytes']:,}",
                )
            ],
            f"{metrics['data']}: nats a token, each from the {metrics['context'] // 2:,} to "
            f"{metrics['context']:,} before it",
        )
        return
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
