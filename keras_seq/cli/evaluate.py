"""`keras-seq evaluate`."""

import argparse
import json
from typing import Any

from keras_seq.cli.arguments import add_data, labelled_source, texts_source
from keras_seq.console import import_quietly, print_table
from keras_seq.errors import UserError


def add(commands: Any) -> None:
    """Adds the command."""
    evaluate = commands.add_parser(
        "evaluate",
        help="results of a run",
        description="Prints how a model does on the run's held-out examples or texts, or on those "
        "of another data set: of a classifier accuracy, precision, recall and F1; of a generator "
        "loss, perplexity and bits a byte; of a translator BLEU and chrF.",
    )
    evaluate.add_argument(
        "model", metavar="RUN", help="a run folder, a .keras file, or preset:NAME"
    )
    add_data(evaluate, None)
    evaluate.add_argument("--source", default="", metavar="NAME", help="language, or its column")
    evaluate.add_argument("--target", default="", metavar="NAME", help="that it is translated into")
    evaluate.add_argument(
        "--beam", type=int, metavar="N", help="of the search (default: as the run was trained with)"
    )
    evaluate.add_argument("--json", action="store_true", help="print the metrics as JSON")
    evaluate.set_defaults(command=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    import_quietly("keras_seq.models")
    from keras_seq.tasks.registry import evaluated
    from keras_seq.training.run import find_model

    model, run = find_model(arguments.model)
    if not arguments.data and run is None:
        raise UserError(f"{arguments.model} does not say on what to evaluate it: name --data.")
    examples, name = _held_out(model, run, arguments)
    metrics = evaluated(model, run, examples, name, arguments.beam)
    if arguments.json:
        print(json.dumps(metrics, ensure_ascii=False, indent=2))
    else:
        print_metrics(metrics)
    return 0


def _held_out(model: Any, run: Any, arguments: argparse.Namespace) -> tuple[Any, str]:
    """What to evaluate on, and its name."""
    from keras_seq import data
    from keras_seq.tasks.registry import held_out

    if not arguments.data:
        corpus = held_out(run, arguments.data_dir)
        return corpus.held_out, corpus.name
    if model.task == "classify":
        if arguments.data in data.SOURCES:
            return data.load(**labelled_source(arguments)).held_out, arguments.data
        columns = arguments.text_column, arguments.label_column
        return data.read_labelled_texts(arguments.data, *columns), arguments.data
    if model.task == "translate":
        return _pairs(model, arguments)
    if arguments.data in data.TEXT_SOURCES:
        return data.load_texts(**texts_source(arguments)).held_out, arguments.data
    return data.read_texts(arguments.data, arguments.text_column), arguments.data


def _pairs(model: Any, arguments: argparse.Namespace) -> tuple[Any, str]:
    """Pairs in the direction of `model`: held-out ones of a data set, all of the user's."""
    from keras_seq import data

    given = arguments.source, arguments.target
    if model.source != model.target and (given[0] == model.target or given[1] == model.source):
        raise UserError(
            f"{arguments.model} translates from {model.source} to {model.target}. Received: "
            f"--source {given[0]!r} --target {given[1]!r}"
        )
    sides = {"source": given[0] or model.source, "target": given[1] or model.target}
    if arguments.data in data.PAIR_SOURCES:
        corpus = data.load_pairs(arguments.data, **sides, data_dir=arguments.data_dir)
        return corpus.held_out, corpus.name
    return data.read_pairs(arguments.data, **sides), arguments.data


def print_metrics(metrics: dict[str, Any]) -> None:
    """Prints a run's results as a table."""
    if "perplexity" in metrics:
        columns = ("loss", "perplexity", "bits_per_byte", "accuracy", "tokens", "bytes")
        found = [name for name in columns if name in metrics]
        row = [f"{v:,}" if isinstance(v := metrics[name], int) else f"{v:.4f}" for name in found]
        title = f"{metrics['data']}: nats a token"
        if "context" in metrics:
            window = metrics["context"]
            title += f", each from the {window // 2:,} to {window:,} before it"
        print_table([name.replace("_", " ") for name in found], [row], title)
        return
    if "bleu" in metrics:
        columns = ("bleu", "bleu_lowercase", "chrf", "exact", "examples", "cut")
        row = [f"{v:,}" if isinstance(v := metrics[name], int) else f"{v:.4f}" for name in columns]
        title = f"{metrics['data']}, beam {metrics['beam']}, {metrics['signature']}"
        print_table([name.replace("_", " ") for name in columns], [row], title)
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
    print_table(("label", *scores, "examples"), rows, title)
