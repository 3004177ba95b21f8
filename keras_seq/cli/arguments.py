"""Arguments that several commands have, and what is made of them."""

import argparse
import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from keras_seq.errors import UserError

FILES = ".csv, .tsv or .jsonl file"
MACHINE = ("resume", "devices", "coordinator", "processes", "process_id")


def add_data(
    parser: argparse.ArgumentParser, default: str | None, files: str = FILES, labels: bool = True
) -> None:
    """Where the data is; `files` says what of the user's own can be given."""
    add = parser.add_argument
    add(
        "--data",
        default=default,
        metavar="NAME_OR_FILE",
        help=f"a data set, or your own {files}" + (f" (default: {default})" if default else ""),
    )
    add("--text-column", default="text", metavar="NAME", help="column of the text (default: text)")
    if labels:
        add(
            "--label-column",
            default="label",
            metavar="NAME",
            help="column of the label (default: label)",
        )
    add("--data-dir", metavar="FOLDER", help="where public data sets lie; else KERAS_SEQ_DATA")


def add_pairs(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Where pairs of texts are."""
    add = parser.add_argument
    add(
        "--data",
        default=default,
        metavar="NAME_OR_FILES",
        help="a data set; a .csv, .tsv or .jsonl file with a pair a row; or two text files, line "
        "by line: corpus.en,corpus.de" + (f" (default: {default})" if default else ""),
    )
    add("--source", default="", metavar="NAME", help="language or column to translate from")
    add("--target", default="", metavar="NAME", help="language or column to translate into")
    add("--data-dir", metavar="FOLDER", help="where public data sets lie; else KERAS_SEQ_DATA")


def add_training(parser: argparse.ArgumentParser, in_tokens: bool = False, **defaults: str) -> None:
    """How a run goes; `defaults` says what is taken for options whose default is the task's.

    With `in_tokens` a batch is so many tokens, not rows.
    """

    def default(name: str, otherwise: str) -> str:
        return f"(default: {defaults.get(name, otherwise)})"

    run = parser.add_argument_group("run")
    add = run.add_argument
    add("--output", metavar="RUN", help="the run folder to make (default: runs/NAME-TIME)")
    add("--resume", metavar="RUN", help="go on with a run, with its own data and settings")
    add("--checkpoint-seconds", type=float, metavar="X", help="between checkpoints (default: 120)")
    add("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    training = parser.add_argument_group("training")
    add = training.add_argument
    add("--epochs", type=int, metavar="N", help=f"passes over the data {default('epochs', '1')}")
    unit, what = ("tokens", "places") if in_tokens else ("size", "texts")
    add(
        f"--batch-{unit}",
        type=int,
        metavar="N",
        help=f"{what} a step {default(f'batch_{unit}', '64')}",
    )
    add(
        "--learning-rate",
        type=float,
        metavar="X",
        help=f"of Adam {default('learning_rate', '0.001')}",
    )
    add(
        "--schedule",
        choices=("constant", "inverse_sqrt", "cosine"),
        help=f"of the learning rate after the warm-up {default('schedule', 'constant')}",
    )
    add(
        "--warmup-steps",
        type=int,
        metavar="N",
        help=f"in which it rises {default('warmup_steps', '0')}",
    )
    add("--weight-decay", type=float, metavar="X", help=f"of AdamW {default('weight_decay', '0')}")
    add(
        "--clip-norm",
        type=float,
        metavar="X",
        help=f"longest gradient {default('clip_norm', '0, any')}",
    )
    add("--accumulate", type=int, metavar="N", help="batches an update (default: 1)")
    add(
        "--average",
        type=float,
        metavar="X",
        help=f"decay of averaged weights, such as 0.999 {default('average', '0, none')}",
    )
    add(
        "--label-smoothing",
        type=float,
        metavar="X",
        help="share of the probability that is spread over all answers "
        + default("label_smoothing", "0"),
    )
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


def place(name_or_path: str, known: Collection[str]) -> str:
    """The name of a data set as it is; what the user has by its absolute path."""
    path = Path(name_or_path)
    return str(path.absolute()) if name_or_path not in known and path.exists() else name_or_path


def labelled_source(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `data.load` takes, kept in a run's config."""
    from keras_seq import data

    return {
        "name_or_path": place(arguments.data, data.SOURCES),
        "text_column": arguments.text_column,
        "label_column": arguments.label_column,
        "data_dir": arguments.data_dir,
    }


def texts_source(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `data.load_texts` takes, kept in a run's config."""
    from keras_seq import data

    return {
        "name_or_path": place(arguments.data, data.TEXT_SOURCES),
        "text_column": arguments.text_column,
        "data_dir": arguments.data_dir,
    }


def pairs_source(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `data.load_pairs` takes, kept in a run's config."""
    from keras_seq import data

    paths = arguments.data.split(",")
    if arguments.data not in data.PAIR_SOURCES and all(Path(path).exists() for path in paths):
        paths = [str(Path(path).absolute()) for path in paths]
    return {
        "name_or_path": ",".join(paths),
        "source": arguments.source,
        "target": arguments.target,
        "data_dir": arguments.data_dir,
    }


def load_labelled(source: dict[str, Any]) -> Any:
    """The corpus of a `labelled_source`."""
    from keras_seq import data

    return data.load(**source)


def load_texts(source: dict[str, Any]) -> Any:
    """The corpus of a `texts_source`."""
    from keras_seq import data

    return data.load_texts(**source)


def load_pairs(source: dict[str, Any]) -> Any:
    """The corpus of a `pairs_source`."""
    from keras_seq import data

    return data.load_pairs(**source)


def refuse_settings(arguments: argparse.Namespace) -> None:
    """A resumed run has its own settings: none may be given."""
    for name, value in vars(arguments).items():
        default = arguments.parser.get_default(name)
        if name not in MACHINE and value != default:
            raise UserError(
                f"A resumed run keeps its own settings. Received: --{name.replace('_', '-')} "
                f"{value}. Leave it out, or begin a new run without --resume."
            )


def refuse_unused(arguments: argparse.Namespace, settings: Any) -> None:
    """What a model of these settings has no use for is not passed over in silence."""
    is_transformer = settings.backbone == "transformer"
    has = {
        "vocabulary_size": ("tokenizer", settings.tokenizer != "bytes"),
        "intermediate_dim": ("backbone", is_transformer),
        "num_heads": ("backbone", is_transformer or arguments.task == "translate"),
    }
    for name, (decided_by, is_used) in has.items():
        value = getattr(arguments, name, None)
        if value is not None and not is_used:
            raise UserError(
                f"A model with --{decided_by} {getattr(settings, decided_by)} has no "
                f"{name.replace('_', ' ')}. Received: --{name.replace('_', '-')} {value}. Leave it "
                f"out, or choose another --{decided_by}."
            )


def given_settings(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The arguments that are settings."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def devices(arguments: argparse.Namespace) -> Any:
    """Where to train."""
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
