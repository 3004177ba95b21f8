"""The progress of a run: a bar for each epoch on a terminal or in a notebook, else lines."""

import contextlib
import time
from collections.abc import Iterator, Mapping

from keras_seq.console import make_bar, print_status

PLAIN_SECONDS = 30
BAR = "{percentage:3.0f}% |{bar:20}|"


class Progress:
    """Shows loss, metrics, tokens per second and the time left of the run.

    Args:
        total: Number of steps of the run.
        steps_per_epoch: Number of steps of an epoch.
        start: Number of steps that were done before.
        visible: Whether to show anything.
    """

    def __init__(self, total: int, steps_per_epoch: int, start: int, visible: bool = True) -> None:
        self.total, self.steps_per_epoch, self.step = total, steps_per_epoch, start
        self.visible = visible
        self.shown = time.monotonic()
        self.clock = _Clock(start)
        self.bar = make_bar(steps_per_epoch, BAR) if visible else None

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second of training, without the first step, which is compiled."""
        return self.clock.tokens / max(self.clock.seconds, 1e-9)

    def describe_speed(self) -> str:
        """Returns the tokens per second in words; nothing where no step was timed."""
        return f"{self.tokens_per_second:,.0f} tokens/s" if self.clock.seconds else ""

    @property
    def epoch_seconds(self) -> float:
        """Seconds that the steps of an epoch take."""
        return self.clock.seconds_per_step * self.steps_per_epoch

    def update(self, step: int, tokens: int, values: Mapping[str, float]) -> None:
        """Shows that `step` steps are done, the last ones with `tokens` tokens."""
        self.step = step
        self.clock.add(step, tokens)
        if self.bar is not None:
            done = (step - 1) % self.steps_per_epoch + 1
            self.bar.bar_format = f"{self._epoch()} {BAR} {self._values(values)}"
            if done < self.bar.n:
                self.bar.reset()
            self.bar.update(done - self.bar.n)
        elif self.visible and time.monotonic() - self.shown > PLAIN_SECONDS:
            self.line(f"{self._epoch()}, step {step:,}: {self._values(values)}")

    @contextlib.contextmanager
    def pause(self, text: str) -> Iterator[None]:
        """Inside the block something else than training is done, which `text` names."""
        if self.bar is not None:
            self.bar.bar_format = f"{self._epoch()} {BAR} {text}"
            self.bar.refresh()
        with self.clock.stopped():
            yield

    def line(self, text: str) -> None:
        """Prints a line that stays on the screen."""
        self.shown = time.monotonic()
        if self.bar is not None:
            self.bar.write(text, file=self.bar.fp)
        elif self.visible:
            print_status(text)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _epoch(self) -> str:
        done = max(self.step - 1, 0) // self.steps_per_epoch + 1
        return f"epoch {done} of {-(-self.total // self.steps_per_epoch)}"

    def _values(self, values: Mapping[str, float]) -> str:
        numbers = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in values.items()]
        left = self.clock.seconds_per_step * (self.total - self.step)
        left += self.clock.pause_seconds * -(-(self.total - self.step) // self.steps_per_epoch)
        if self.clock.seconds:
            numbers += [self.describe_speed(), f"{format_duration(left)} left"]
        return ", ".join(numbers)


class _Clock:
    """Seconds and tokens of training, from the end of the first step on.

    Attributes:
        pause_seconds: Length of the last pause.
    """

    def __init__(self, start: int) -> None:
        self.began: float | None = None
        self.first = self.step = start
        self.read_at = time.monotonic()
        self.tokens = 0
        self.pause_seconds = 0.0

    def add(self, step: int, tokens: int) -> None:
        """Notes that `step` steps are done by now."""
        self.read_at, self.step = time.monotonic(), step
        if self.began is None:
            self.began, self.first = self.read_at, step
        else:
            self.tokens += tokens

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside the block no time passes."""
        paused_at = time.monotonic()
        try:
            yield
        finally:
            self.pause_seconds = time.monotonic() - paused_at
            if self.began is not None:
                self.began += self.pause_seconds
                self.read_at += self.pause_seconds

    @property
    def seconds(self) -> float:
        return self.read_at - self.began if self.began is not None else 0.0

    @property
    def seconds_per_step(self) -> float:
        return self.seconds / max(self.step - self.first, 1)


def format_duration(seconds: float) -> str:
    """Returns a duration such as "1:05" or "2:03:07"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
