"""The folder that a training run keeps everything in.

RUN/
  config.json         task, data and settings
  model.keras         the best epoch's model, tokenizer and labels inside
  metrics.jsonl       a line an epoch
  evaluation.json     results on the held-out examples
"""

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from keras_seq import data
from keras_seq.data import LabelledTexts
from keras_seq.errors import UserError

RUNS = Path("runs")


class Run:
    """A run folder.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.json"
        self.model_path = self.path / "model.keras"
        self.metrics_path = self.path / "metrics.jsonl"
        self.evaluation_path = self.path / "evaluation.json"

    @classmethod
    def new(cls, path: str | Path | None, name: str) -> "Run":
        """A run to be made in `path`, by default `runs/NAME-TIME`; `start` makes the folder.

        Raises:
            UserError: If `path` is there and not empty.
        """
        time = datetime.now().strftime("%Y%m%d-%H%M%S")
        run = cls(path or RUNS / f"{name}-{time}")
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            raise UserError(f"{run.path} exists and is not empty. Name another --output.")
        return run

    def start(self, config: dict[str, Any]) -> None:
        """Makes the folder and writes what is about to be trained."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config_path, config)

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """The run in `path`.

        Raises:
            UserError: If it is not a run folder, or its training has not saved a model yet.
        """
        run = cls(path)
        if not run.config_path.is_file():
            raise UserError(
                f"{run.path} is not a run folder: it has no config.json. Make a run with: "
                "keras-seq train classify --data movie_reviews"
            )
        if not run.model_path.is_file():
            raise UserError(
                f"{run.path} has no model.keras: its training did not finish an epoch. Train again."
            )
        return run

    @classmethod
    def newest(cls) -> "Run":
        """The run below `runs/` that saved its model last.

        Raises:
            UserError: If there is none.
        """
        models = sorted(RUNS.glob("*/model.keras"), key=lambda path: path.stat().st_mtime)
        if not models:
            raise UserError(
                f"There is no run below {RUNS}/. Name a run folder or a .keras file, or make a run "
                "with: keras-seq train classify --data movie_reviews"
            )
        return cls.open(models[-1].parent)

    @property
    def config(self) -> dict[str, Any]:
        """What was trained, on what, with which settings."""
        try:
            return json.loads(self.config_path.read_text("utf-8"))
        except ValueError as error:
            raise UserError(f"{self.config_path} is damaged: {error}. Train again.") from error

    @property
    def evaluation(self) -> dict[str, Any]:
        """Results on the held-out examples; empty where there are none yet."""
        if not self.evaluation_path.is_file():
            return {}
        return json.loads(self.evaluation_path.read_text("utf-8"))


def find_model(path: str | Path) -> tuple[Any, Run | None]:
    """The model of a run folder, with its run, or of a model file.

    Raises:
        UserError: If there is none, or it cannot be read.
    """
    from keras_seq.models import load_model
    from keras_seq.models.loading import MODEL_FILES

    if Path(path).suffix in MODEL_FILES or (Path(path) / "saved_model.pb").is_file():
        return load_model(path, compile=False), None
    run = Run.open(path)
    return load_model(run.model_path), run


def held_out(run: Run, data_dir: str | Path | None = None) -> tuple[LabelledTexts, str]:
    """The examples that `run` did not learn from, and the name of their data set.

    Raises:
        UserError: If the data is no longer where it was.
    """
    source = dict(run.config["data"])
    if data_dir is not None:
        source["data_dir"] = data_dir
    corpus = data.load(**source)
    return corpus.held_out, corpus.name


def write_json(path: Path, value: Any) -> None:
    """Writes `value` beside `path` and renames it, so that no half file is ever seen."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as partial:
        partial.write(text)
    os.chmod(partial.name, 0o644)
    os.replace(partial.name, path)
