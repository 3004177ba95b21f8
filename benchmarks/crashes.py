"""Kills an export or a training run at random moments, and says what it left behind.

    python -m benchmarks.crashes export --count 30 --seed 0
    python -m benchmarks.crashes train --count 30 --seed 0
    python -m benchmarks.crashes export --minutes 15

Each round starts the command in a process of its own and kills it (SIGKILL), at a moment drawn over
the time that it takes. Then:

- export: the folder holds nothing, the old bundle or the new one, whole by its hashes, and the next
  export succeeds. Every other round replaces a bundle that is there.
- train: the run is resumed, and ends with the weights of a run that nothing happened to; or it had
  not begun, and is started again.

A round that left anything else is a fault; the exit status is then 1.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import bundle
from keras_seq.console import print_table
from keras_seq.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
MODEL = """
import keras
inputs = keras.Input((6, 3))
outputs = keras.layers.Dense(2)(keras.layers.LSTM(4)(inputs))
keras.Model(inputs, outputs).save({path!r})
"""
TRAINING = [
    *("--backbone", "rnn", "--epochs", "3", "--tokenizer", "bytes", "--max-length", "24"),
    *("--hidden-dim", "16", "--embedding-dim", "8", "--batch-size", "8"),
    *("--checkpoint-seconds", "0.05"),
]
FAULT = "FAULT"


@dataclass(frozen=True)
class Round:
    """What a kill left.

    Attributes:
        moment: Seconds from the start of the process to the kill.
        found: What was there: "nothing", "old", "new", "not begun", "resumed" or "finished".
        fault: What is wrong; "" where nothing is.
    """

    moment: float
    found: str
    fault: str = ""


class Victim:
    """A command that is killed. A subclass says how it is started, and what it may leave.

    Args:
        folder: A folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        begun = time.monotonic()
        self.finish(self.command())
        self.seconds = time.monotonic() - begun

    def command(self) -> list[str]:
        """Returns the command, which writes `output`."""
        raise NotImplementedError

    def prepare(self, number: int) -> None:
        """Puts the folder into the state that round `number` begins with."""
        raise NotImplementedError

    def inspect(self) -> tuple[str, str]:
        """Returns what a kill left, and what is wrong with it; and removes it."""
        raise NotImplementedError

    def finish(self, command: Sequence[str]) -> None:
        """Runs a command to its end.

        Raises:
            UserError: If it fails.
        """
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise UserError(f"{' '.join(command)} fails: {done.stderr[-500:]}")

    def kill(self, moment: float, number: int) -> Round:
        """Runs one round."""
        self.prepare(number)
        process = subprocess.Popen(
            [sys.executable, "-m", *self.command()],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Round(moment, *self.inspect())


class Export(Victim):
    """An export of a small model to every format; a bundle that is there is replaced."""

    def __init__(self, folder: Path) -> None:
        self.models = [folder / "old.keras", folder / "new.keras"]
        self.old: str | None = None
        for path in self.models:
            code = MODEL.format(path=str(path))
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
        super().__init__(folder)

    def command(self, model: int = 1) -> list[str]:
        return [
            "export",
            str(self.models[model]),
            "--output",
            str(self.output),
            "--overwrite",
            "--format",
            "onnx",
            "tflite",
        ]

    def prepare(self, number: int) -> None:
        remove(self.output)
        self.old = None
        if number % 2:
            self.finish(self.command(0))
            self.old = bundle.read_manifest(self.output)["sha256"]

    def inspect(self) -> tuple[str, str]:
        found = self._find()
        if found.startswith(FAULT):
            return FAULT, found
        fault = ""
        if found == "nothing" and self.old is not None:
            fault = "the old bundle is gone"
        try:
            self.finish(self.command())
        except UserError as error:
            fault = f"the next export fails: {error}"
        return found, fault or ("" if self._find() == "new" else "the next export leaves no bundle")

    def _find(self) -> str:
        if not self.output.exists():
            return "nothing"
        try:
            manifest = bundle.read_manifest(self.output)
            bundle.verify(self.output, manifest)
        except UserError as error:
            return f"{FAULT}: half a bundle: {error}"
        return "old" if manifest["sha256"] == self.old else "new"


class Train(Victim):
    """A training run of a small classifier."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data.csv"
        words = random.Random(0)
        rows = [
            f"{words.choice(['good', 'fine'] if i % 2 else ['bad', 'dull'])} {i},{i % 2}"
            for i in range(400)
        ]
        self.data.write_text("text,label\n" + "\n".join(rows) + "\n", "utf-8")
        super().__init__(folder)
        self.whole = self._read_state()

    def command(self) -> list[str]:
        begin = ["--data", str(self.data), "--output", str(self.output), *TRAINING]
        return ["keras_seq", "train", "classify", *begin]

    def prepare(self, number: int) -> None:
        remove(self.output)

    def inspect(self) -> tuple[str, str]:
        begun = (self.output / "config.json").exists()
        done = (self.output / "evaluation.json").exists()
        resume = ["keras_seq", "train", "classify", "--resume", str(self.output)]
        try:
            self.finish(resume if begun else self.command())
        except UserError as error:
            return FAULT, f"{'resuming' if begun else 'starting again'} fails: {error}"
        found = "finished" if done else "resumed" if begun else "not begun"
        state = self._read_state()
        return found, "" if state == self.whole else "other weights than those of a whole run"

    def _read_state(self) -> dict[str, bytes]:
        """Returns the variables in the last checkpoint."""
        last = sorted((self.output / "checkpoints").glob("step-*.npz"))[-1]
        with np.load(last) as file:
            return {name: file[name].tobytes() for name in file.files if name != "notes"}


VICTIMS: dict[str, Callable[[Path], Victim]] = {"export": Export, "train": Train}


def remove(path: Path) -> None:
    """Removes a folder, and what a kill left beside it."""
    for one in (path, *path.parent.glob(f".{path.name}.*")):
        shutil.rmtree(one, ignore_errors=True)


def run_rounds(
    victim: str, count: int, seed: int, minutes: float = float("inf")
) -> Iterator[Round]:
    """Yields what each round left.

    Args:
        victim: "export" or "train".
        count: Number of rounds.
        seed: Random seed of the moments.
        minutes: Rounds begin until then.
    """
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        killed = VICTIMS[victim](Path(folder))
        end = time.monotonic() + 60 * minutes
        for number in range(count):
            if time.monotonic() > end:
                return
            # Some moments come after the end.
            yield killed.kill(draw.uniform(0, 1.05 * killed.seconds), number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the rounds, and prints a row for each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.crashes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=VICTIMS, help="what is killed")
    parser.add_argument("--count", type=int, default=10, metavar="N", help="rounds (default: 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the moments")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none later")
    parsed = parser.parse_args(arguments)
    rounds = []
    for one in run_rounds(parsed.command, parsed.count, parsed.seed, parsed.minutes):
        rounds.append(one)
        print(f"{one.moment:.2f} s: {one.found} {one.fault}", file=sys.stderr, flush=True)
    rows = [
        (found, str(len(same)), ", ".join(sorted({r.fault for r in same} - {""})) or "none")
        for found in sorted({r.found for r in rounds})
        if (same := [r for r in rounds if r.found == found])
    ]
    print_table(("left", "rounds", "faults"), rows, f"{len(rounds)} kills of {parsed.command}")
    return int(any(r.fault for r in rounds))


if __name__ == "__main__":
    sys.exit(main())
