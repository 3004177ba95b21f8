"""The records of a run: numbers, TensorBoard events and a plot."""

import contextlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any

from keras_seq.files import parse_json

PLOT_SECONDS = 10  # between two drawings of the curve: one takes as long as a short epoch


class Journal:
    """The records of a run folder.

        metrics.jsonl    one line per epoch, with the results on the validation examples
        steps.jsonl      one line every few steps
        curve.png        both, plotted
        events/          both, for TensorBoard

    Args:
        folder: The run folder.
        step: The step that the run continues from; records of later steps are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.folder = folder
        self.epochs = _Lines(folder / "metrics.jsonl", step)
        self.steps = _Lines(folder / "steps.jsonl", step)
        events = folder / "events"
        # TensorBoard reads the files in the order of their names, which begin with the second.
        while any(events.glob(f"events.out.tfevents.{int(time.time()):010d}.*")):
            time.sleep(0.05)
        self._events = EventFileWriter(str(events))
        self._plotted_at: float | None = None
        self._plotted_epochs = 0
        if step:
            # TensorBoard then drops what the run recorded of later steps before it was stopped.
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._events.add_event(
                event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=start)
            )

    def add_step(self, step: int, values: dict[str, float]) -> None:
        """Records the results of training since the last such record."""
        self.steps.add({"step": step, **values})
        self._scalars(step, values)

    def add_epoch(self, step: int, epoch: int, values: dict[str, float]) -> None:
        """Records an epoch's results, and plots the curve unless it was plotted just now."""
        self.epochs.add({"epoch": epoch, "step": step, **values})
        self._scalars(step, {f"epoch_{name}": value for name, value in values.items()})
        self._events.flush()
        if self._plotted_at is None or time.monotonic() - self._plotted_at > PLOT_SECONDS:
            self._plot()

    def close(self) -> None:
        """Plots the epochs that the curve lacks, and closes the files."""
        if self._plotted_epochs < len(self.epochs.lines):
            self._plot()
        self._events.close()

    def _plot(self) -> None:
        plot_history(self.folder / "curve.png", self.steps.lines, self.epochs.lines)
        self._plotted_at, self._plotted_epochs = time.monotonic(), len(self.epochs.lines)

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        summary = summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(tag=name, simple_value=value)
                for name, value in values.items()
            ]
        )
        self._events.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))


class _Lines:
    """A file of JSON lines, each with a step."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        if path.is_file():
            whole = path.read_bytes().split(b"\n")[:-1]  # the last may be cut short
            self.lines = [line for line in map(_read_record, whole) if line["step"] <= step]
        partial = path.with_name(f".partial-{path.name}")
        partial.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines), "utf-8")
        os.replace(partial, path)

    def add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _read_record(line: bytes) -> dict[str, Any]:
    """Returns a record; one that is damaged is of no step, so that it is dropped."""
    with contextlib.suppress(ValueError):
        record = parse_json(line)
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            return record
    return {"step": math.inf}


def draw_history(steps: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> Any:
    """Draws the loss and the other metrics over the steps; returns a Matplotlib figure."""
    from keras_seq.training.picture import Picture

    measured = sorted({name for line in epochs for name in line if name.startswith("val_")})
    names = ["loss", *(n.removeprefix("val_") for n in measured if n != "val_loss")]
    figure = Picture(figsize=(5 * len(names), 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for lines, key, style in ((steps, name, "-"), (epochs, f"val_{name}", "o-")):
            points = [(line["step"], line[key]) for line in lines if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), style, ms=4, label=key.replace("_", " "))
        axes.set(xlabel="step", title=name.replace("_", " "))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def plot_history(path: Path, steps: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> None:
    """Plots the loss and the other metrics over the steps into a PNG file."""
    partial = path.with_name(f".partial-{path.name}")
    draw_history(steps, epochs).savefig(partial, dpi=120, format="png")
    os.replace(partial, path)
