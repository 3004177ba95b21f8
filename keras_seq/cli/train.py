"""`keras-seq train classify | generate | unmask | translate`."""

import argparse
from typing import Any

from keras_seq.cli.arguments import (
    add_data,
    add_pairs,
    add_training,
    devices,
    given_settings,
    labelled_source,
    load_labelled,
    load_pairs,
    load_texts,
    pairs_source,
    refuse_settings,
    refuse_unused,
    texts_source,
)
from keras_seq.cli.evaluate import print_metrics
from keras_seq.console import import_quietly, print_status
from keras_seq.training.memory import keep_freed_memory

TEXTS = (
    "Data sets: python (the source of Python's standard library, on every machine), "
    "tinyshakespeare, movie_reviews."
)

EXPORT = "python -m export {run} --output bundles/{name}"


def add(commands: Any) -> None:
    """Adds the command and its tasks."""
    train = commands.add_parser("train", help="train a model")
    tasks = train.add_subparsers(required=True, metavar="TASK")
    _add_classify(tasks)
    _add_generate(tasks)
    _add_unmask(tasks)
    _add_translate(tasks)


def _add_classify(tasks: Any) -> None:
    classify = tasks.add_parser(
        "classify",
        help="learn labels of texts",
        description="Trains a text classifier and keeps it in a run folder. Ctrl-C saves it; "
        "--resume goes on.",
        epilog="Data sets: movie_reviews (25,000 IMDB reviews), sst2 (sentences of film reviews).",
    )
    add_data(classify, "movie_reviews")
    classify.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="labelled texts to learn from, those that choose the best epoch among them (default: "
        "0, all)",
    )
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
    add("--pooling", choices=("max", "mean"), help="of what the backbone gives for each token")
    before = classify.add_argument_group("pre-training")
    add = before.add_argument
    add(
        "--init-from",
        metavar="RUN",
        help="begin with the backbone and the tokenizer of a run of `train generate`, `train "
        "unmask` or `train classify`; what else describes them is not used",
    )
    add("--freeze", action="store_true", default=None, help="leave that backbone as it is")
    add(
        "--layer-decay",
        type=float,
        metavar="X",
        help="each layer below another learns by this factor more slowly (default: 1)",
    )
    add_training(
        classify,
        epochs="2; rnn 3",
        batch_size="64",
        learning_rate="0.002; rnn and transformer 0.001",
    )
    classify.set_defaults(
        command=_train,
        parser=classify,
        task="classify",
        source_of=labelled_source,
        load=load_labelled,
        use=EXPORT,
    )


def _add_generate(tasks: Any) -> None:
    generate = tasks.add_parser(
        "generate",
        help="learn to write on from a text",
        description="Trains a language model that foretells each token from those before it, and "
        "keeps it in a run folder. Ctrl-C saves it; --resume goes on.",
        epilog=TEXTS,
    )
    _add_language_model(generate)
    generate.set_defaults(task="generate", use='keras-seq predict {run} --prompt "…", or ' + EXPORT)


def _add_unmask(tasks: Any) -> None:
    unmask = tasks.add_parser(
        "unmask",
        help="learn to fill gaps, for classifiers to go on from",
        description="Trains a language model that tells hidden tokens from those around them, and "
        "keeps it in a run folder. Ctrl-C saves it; --resume goes on. Then: keras-seq train "
        "classify --init-from RUN.",
        epilog=TEXTS,
    )
    _add_language_model(unmask)
    unmask.set_defaults(task="unmask", use="keras-seq train classify --init-from {run}")


def _add_language_model(parser: argparse.ArgumentParser) -> None:
    add_data(parser, "python", "text file, folder of them, or .csv, .tsv or .jsonl file", False)
    model = parser.add_argument_group("model")
    add = model.add_argument
    add("--backbone", choices=("rnn", "lstm", "transformer"), default="transformer")
    add(
        "--tokenizer",
        choices=("bytes", "sentencepiece"),
        help="what a token is: a byte, or a piece learnt from the texts (default: bytes)",
    )
    add("--vocabulary-size", type=int, metavar="N", help="pieces at most (default: 8000)")
    add(
        "--max-length",
        type=int,
        metavar="N",
        help="tokens of a row; a transformer has place for no more, in use either (default: 256)",
    )
    add("--hidden-dim", type=int, metavar="N", help="width (default: 128; rnn and lstm 256)")
    add("--num-layers", type=int, metavar="N", help="(default: 4; rnn and lstm 2)")
    add("--num-heads", type=int, metavar="N", help="of a transformer (default: 4)")
    add("--dropout", type=float, metavar="X", help="(default: 0.1)")
    add(
        "--steps-per-epoch",
        type=int,
        metavar="N",
        help="between two evaluations; 0 for a pass over the data (default: 250)",
    )
    add_training(
        parser,
        epochs="4",
        batch_size="16",
        learning_rate="0.004; rnn 0.001",
        schedule="cosine",
        warmup_steps="100",
        weight_decay="0.1; rnn and lstm 0",
        clip_norm="1",
    )
    parser.set_defaults(command=_train, parser=parser, source_of=texts_source, load=load_texts)


def _add_translate(tasks: Any) -> None:
    translate = tasks.add_parser(
        "translate",
        help="learn to translate from pairs of texts",
        description="Trains an encoder-decoder that reads one text and writes another, and keeps "
        "it in a run folder. Ctrl-C saves it; --resume goes on.",
        epilog="Data sets: dates (in words of 53 locales, to ISO 8601; made on this machine), "
        "multi30k (captions of pictures in en, de, fr), tatoeba (sentences in en, zh).",
    )
    add_pairs(translate, "dates")
    model = translate.add_argument_group("model")
    add = model.add_argument
    add("--backbone", choices=("rnn", "lstm", "transformer"), default="transformer")
    add(
        "--tokenizer",
        choices=("sentencepiece", "bytes"),
        help="what a token is: a piece learnt from both languages, or a byte (default: "
        "sentencepiece)",
    )
    add("--vocabulary-size", type=int, metavar="N", help="pieces at most (default: 8000)")
    add(
        "--max-length",
        type=int,
        metavar="N",
        help="tokens of a text on either side; longer ones are cut (default: 100)",
    )
    add("--hidden-dim", type=int, metavar="N", help="width (default: 128; rnn and lstm 256)")
    add(
        "--intermediate-dim",
        type=int,
        metavar="N",
        help="width of a transformer's feed-forward networks (default: 256)",
    )
    add(
        "--num-layers",
        type=int,
        metavar="N",
        help="of the encoder, and of the decoder (default: 2; rnn and lstm 1)",
    )
    add("--num-heads", type=int, metavar="N", help="of each attention (default: 4)")
    add("--dropout", type=float, metavar="X", help="(default: 0.1)")
    add("--beam", type=int, metavar="N", help="of the search for the results (default: 4)")
    add(
        "--init-from",
        metavar="RUN",
        help="begin as the translator of a run, a .keras file or preset:NAME is, and learn from "
        "other pairs; its vocabulary and its shape stay, what describes them is not used",
    )
    add(
        "--subword-alpha",
        type=float,
        metavar="X",
        help="texts are cut into pieces in other ways each epoch, such as 0.2; the less, the more "
        "freely; for little text and long training (default: 0, the best way always)",
    )
    add(
        "--r-drop",
        type=float,
        metavar="X",
        help="each batch is read twice, with other dropout, and how far the two predictions lie "
        "apart counts so much, such as 5; for little text: twice the time (default: 0, once)",
    )
    add_training(
        translate,
        in_tokens=True,
        epochs="10",
        batch_tokens="4096",
        learning_rate="0.004; rnn 0.001, lstm 0.003",
        schedule="cosine",
        warmup_steps="100",
        clip_norm="1",
        average="0.99",
        label_smoothing="0.1",
    )
    translate.set_defaults(
        command=_train,
        parser=translate,
        task="translate",
        source_of=pairs_source,
        load=load_pairs,
        use='keras-seq predict {run} "…", or ' + EXPORT,
    )


def _train(arguments: argparse.Namespace) -> int:
    if arguments.resume:
        refuse_settings(arguments)
    # Data that cannot be used is refused before what is heavy is imported.
    source = None if arguments.resume else arguments.source_of(arguments)
    corpus = None if source is None else arguments.load(source)
    keep_freed_memory()
    import_quietly("keras_seq.models")
    from keras_seq.tasks.registry import TASKS
    from keras_seq.training import Run
    from keras_seq.training.session import settings_of

    places, name = devices(arguments), arguments.task
    task = TASKS[name]
    defaults = task.defaults[arguments.backbone]
    if arguments.resume:
        run = Run.resume(arguments.resume, name)
        settings, source = settings_of(run, type(defaults)), run.config["data"]
        corpus = task.load(**source)
    else:
        settings = defaults.changed(**given_settings(arguments, type(defaults)))
        refuse_unused(arguments, settings)
        run = Run.new(arguments.output, f"{name}-{arguments.backbone}", places.chief)
    task.train(corpus, settings, run, source, places)
    if places.chief:
        print_metrics(run.evaluation)
        print_status(
            f"Saved in {run.path}. Next: " + arguments.use.format(run=run.path, name=run.path.name)
        )
    return 0
