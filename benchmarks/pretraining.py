r"""What a pre-trained backbone is worth to a text classifier, with few labels and with many.

    keras-seq train unmask --data movie_reviews --backbone lstm --num-layers 1 \
        --tokenizer sentencepiece --steps-per-epoch 0 --epochs 6 --output runs/lm
    python -m benchmarks.pretraining runs/lm
    python -m benchmarks.pretraining runs/lm --labels 500 --epochs 12

For each number of labels two classifiers of one shape, with one tokenizer: one begins with the
backbone of the run, the other with weights that are drawn. Both are trained in the same way, and
counted on the reviews that were held out, of which the language model has seen none, either.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from keras_seq.tasks import load_corpus

LABELS = (500, 2500, 0)
EPOCHS = (12, 6, 2)
WARMUP_STEPS = 30  # fewer where there are few in all
SETTINGS = {
    "batch_size": 32,
    "learning_rate": 5e-3,
    "schedule": "cosine",
    "clip_norm": 1.0,
    "dropout": 0.2,
}


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pretraining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="of `train generate` or `train unmask`")
    add("--data", default="movie_reviews", help="(default: movie_reviews)")
    add("--labels", type=int, nargs="+", default=LABELS, metavar="N", help="0 for all")
    add("--epochs", type=int, nargs="+", default=EPOCHS, metavar="N", help="for each of them")
    add("--pooling", choices=("max", "mean"), default="mean")
    add("--layer-decay", type=float, default=1.0, metavar="X")
    add("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if len(arguments.epochs) != len(arguments.labels):
        parser.error(
            f"--epochs has a number for each of --labels. Received: {len(arguments.epochs)} for "
            f"{len(arguments.labels)}"
        )

    from keras_seq.console import run_command

    return run_command(lambda: _compare(arguments))


def _compare(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    from keras_seq.console import import_quietly, print_table
    from keras_seq.training.memory import keep_freed_memory

    keep_freed_memory()
    import_quietly("keras_seq.training.session")
    from keras_seq.models import find_model
    from keras_seq.training import Interrupted

    initial, _ = find_model(arguments.run)
    corpus = load_corpus("classify", arguments.data)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn.keras"
        type(initial).from_config(initial.get_config()).save(drawn)
        for labels, epochs in zip(arguments.labels, arguments.epochs, strict=True):
            try:
                figures = [
                    _accuracy(corpus, begun, labels, epochs, arguments)
                    for begun in (arguments.run, drawn)
                ]
            except Interrupted as interrupt:
                raise KeyboardInterrupt("Stopped; a benchmark keeps nothing.") from interrupt
            size = f"{labels or len(corpus.train):,}"
            rows.append((size, str(epochs), *(f"{100 * figure:.2f}" for figure in figures)))
    title = (
        f"{arguments.run}, {initial.count_params():,} parameters: accuracy in % on "
        f"{len(corpus.held_out):,} held-out texts of {corpus.name}"
    )
    print_table(("labels", "epochs", "pre-trained", "from scratch"), rows, title)


def _accuracy(
    corpus: Any, begun: Any, labels: int, epochs: int, arguments: argparse.Namespace
) -> float:
    """On what was held out, of a classifier that begins with the backbone of `begun`."""
    from keras_seq.tasks import get_task
    from keras_seq.training import Run, Session

    steps = epochs * (labels or len(corpus.train)) // SETTINGS["batch_size"]
    task = get_task("classify")
    settings = task.settings["lstm"].replace(
        **SETTINGS,
        warmup_steps=min(WARMUP_STEPS, steps // 4),
        init_from=str(begun),
        limit=labels,
        epochs=epochs,
        pooling=arguments.pooling,
        layer_decay=arguments.layer_decay,
        seed=arguments.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run.new(folder, "pretraining")
        Session(task, corpus, settings, run, task.data(corpus.name)).train()
        return run.evaluation["accuracy"]


if __name__ == "__main__":
    raise SystemExit(main())
