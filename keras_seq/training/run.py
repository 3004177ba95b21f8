"""The folder that holds everything about a training run.

RUN/
  config.json         task, data and settings
  tokenizer.model     the SentencePiece model, if there is one
  tokenizer.json      the tokenizer for the Hugging Face libraries
  initial.keras       the model that the run began with, if there is one
  model.keras         the best epoch's model, with its tokenizer and labels
  checkpoints/        the whole state of training, the last two
  metrics.jsonl       one line per epoch
  steps.jsonl         one line every few steps
  curve.png           both, plotted
  events/             both, for TensorBoard
  evaluation.json     results on the held-out examples
"""

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from keras_seq.errors import UserError, choose_wording, describe
from keras_seq.files import parse_json, read_bytes, read_json
from keras_seq.options import Options
from keras_seq.text import SentencePieceTokenizer
from keras_seq.training.checkpoints import Checkpoints

RUNS = Path("runs")
TRAIN_AGAIN = "Train again."


class Run:
    """A run folder.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.json"
        self.tokenizer_path = self.path / "tokenizer.model"
        self.model_path = self.path / "model.keras"
        self.initial_path = self.path / "initial.keras"
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self.evaluation_path = self.path / "evaluation.json"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @classmethod
    def new(cls, path: str | Path | None, name: str, writes: bool = True) -> "Run":
        """Returns a run that `start` will make in `path`, by default `runs/NAME-TIME`.

        Args:
            path: The run's folder.
            name: Name of the default folder.
            writes: Whether this process writes the folder; another of several may have begun.

        Raises:
            UserError: If `path` is there and not empty.
        """
        time = datetime.now().strftime("%Y%m%d-%H%M%S")
        run = cls(path or RUNS / f"{name}-{time}")
        if writes and run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            raise UserError(f"{run.path} exists and is not empty. Name another --output.")
        return run

    def start(self, config: dict[str, Any], tokenizer: Any, initial: Any = None) -> None:
        """Makes the folder and writes what is about to be trained, the config last."""
        self.path.mkdir(parents=True, exist_ok=True)
        if initial is not None:
            initial.save(self.initial_path)
        if isinstance(tokenizer, SentencePieceTokenizer):
            write_file(self.tokenizer_path, tokenizer.model)
        write_file(self.path / "tokenizer.json", tokenizer.to_json().encode())
        write_json(self.config_path, config)

    @property
    def started(self) -> bool:
        """Whether the folder exists and has a config."""
        return self.config_path.is_file()

    def save_model(self, model: Any) -> None:
        """Saves `model` as the best one, without its optimizer, which is in the checkpoints."""
        partial = self.path / f".partial-{self.model_path.name}"
        copy_uncompiled(model).save(partial)
        os.replace(partial, self.model_path)

    @classmethod
    def resume(cls, path: str | Path, task: str) -> "Run":
        """Opens the run in `path` to resume it.

        Raises:
            UserError: If it is not a run folder, or of another task.
        """
        run = cls(path)
        if not run.started:
            raise UserError(
                f"{run.path} is not a run folder: it has no config.json. If it was stopped before "
                "training began, start again"
                + choose_wording(f": keras-seq train {task} …", " without resume.")
            )
        if run.config["task"] != task:
            raise UserError(
                f"{run.path} is a run of another task. Resume it with: "
                + _spell_resume(run.config["task"], run.path)
            )
        return run

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Opens the run in `path`.

        Raises:
            UserError: If it is not a run folder, or its training has not saved a model yet.
        """
        run = cls(path)
        if not run.started:
            raise UserError(
                f"{run.path} is not a run folder: it has no config.json. Name the "
                "folder of a run, a .keras file or preset:NAME, or make a run: "
                + choose_wording("keras-seq train --help", "keras_seq.train(task, data)")
            )
        if not run.model_path.is_file():
            raise UserError(
                f"{run.path} has no model.keras: its training did not finish an epoch. Resume it "
                "with: " + _spell_resume(run.config.get("task", "TASK"), run.path)
            )
        return run

    @classmethod
    def newest(cls) -> "Run":
        """Opens the run below `runs/` that saved its model last.

        Raises:
            UserError: If there is none.
        """
        models = sorted(RUNS.glob("*/model.keras"), key=lambda path: path.stat().st_mtime)
        if not models:
            raise UserError(
                f"There is no run below {RUNS}/. Name a run folder or a .keras file, or make a "
                "run: keras-seq train --help"
            )
        return cls.open(models[-1].parent)

    @property
    def config(self) -> dict[str, Any]:
        """The run's task, data and settings."""
        config = read_json(self.config_path, TRAIN_AGAIN)
        for name, default in (("task", None), ("data", {}), ("settings", {})):
            value, kind = config.setdefault(name, default), str if name == "task" else dict
            if not isinstance(value, kind):
                raise UserError(
                    f"{self.config_path} is damaged: {name} is no {kind.__name__}. Received: "
                    f"{describe(value)}. {TRAIN_AGAIN}"
                )
        return config

    def load_settings(self, kind: type[Options]) -> Any:
        """Returns the settings that the run was started with, as an instance of `kind`."""
        return kind.from_mapping(self.config["settings"])

    def extend(self, kind: type[Options], epochs: int | None) -> Any:
        """Returns the run's settings, with more epochs where they are asked for.

        Raises:
            UserError: If fewer are asked for than the run has.
        """
        settings = self.load_settings(kind)
        if epochs is None or epochs == settings.epochs:
            return settings
        if epochs < settings.epochs:
            raise UserError(
                f"{self.path} has {settings.epochs} epochs, and a resumed run may have more. "
                f"Received: {epochs}"
            )
        settings = settings.replace(epochs=epochs)
        config = self.config
        config["settings"]["epochs"] = epochs
        write_json(self.config_path, config)
        return settings

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """Returns the records in "metrics.jsonl" or "steps.jsonl"; a line cut short is none."""
        path = self.path / name
        lines = read_bytes(path).split(b"\n")[:-1] if path.is_file() else []
        records = []
        for number, line in enumerate(lines, 1):
            try:
                records.append(parse_json(line))
            except ValueError as error:
                raise UserError(f"{path}, line {number} is damaged: {error}.") from error
        return records

    @property
    def history(self) -> dict[str, list[float]]:
        """The results of each epoch, a list by name, as in `keras.callbacks.History.history`."""
        epochs = self.read_lines("metrics.jsonl")
        names = [name for name in (epochs[0] if epochs else ()) if name not in ("epoch", "step")]
        return {name: [line[name] for line in epochs] for name in names}

    @property
    def evaluation(self) -> dict[str, Any]:
        """Results on the held-out examples; empty until there are any."""
        if not self.evaluation_path.is_file():
            return {}
        return read_json(self.evaluation_path, "Remove it, and resume the run.")


def _spell_resume(task: str, path: Path) -> str:
    return choose_wording(
        f"keras-seq train {task} --resume {path}",
        f"keras_seq.train({task!r}, resume={str(path)!r})",
    )


def copy_uncompiled(model: Any) -> Any:
    """Returns a copy of `model` without optimizer, loss and metrics."""
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as JSON, as `write_file` does."""
    write_file(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_file(path: Path, content: bytes) -> None:
    """Writes `content` beside `path` and renames it, so that no half file is ever seen."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as partial:
        partial.write(content)
    os.chmod(partial.name, 0o644)
    os.replace(partial.name, path)
