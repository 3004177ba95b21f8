"""The progress of a run: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping

PLAIN_SECONDS = 30


class Progress:
    """Shows loss, metrics, tokens per second and the time left, on standard error.

    Args:
        total: Number of steps of the run.
        steps_per_epoch: Number of steps of an epoch.
        start: Number of steps that were done before.
        visible: Whether to show anything.
    """

    def __init__(self, total: int, steps_per_epoch: int, start: int, visible: bool = True) -> None:
        self.total, self.steps_per_epoch, self.start = total, steps_per_epoch, start
        self.began = self.shown = time.monotonic()
        self.tokens = 0
        self.visible = visible
        self.bar = None
        if visible and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=total,
                initial=start,
                bar_format="{desc} {percentage:3.0f}% |{bar:20}| {postfix}",
                file=sys.stderr,
                leave=False,
            )

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second since the run was started or resumed."""
        return self.tokens / max(time.monotonic() - self.began, 1e-9)

    def update(self, step: int, tokens: int, values: Mapping[str, float]) -> None:
        """Shows that `step` steps are done, the last ones with `tokens` tokens."""
        self.tokens += tokens
        if self.bar is not None:
            self.bar.set_description_str(self._epoch(step), refresh=False)
            self.bar.set_postfix_str(self._values(step, values), refresh=False)
            self.bar.update(step - self.bar.n)
        elif self.visible and time.monotonic() - self.shown > PLAIN_SECONDS:
            self.line(f"{self._epoch(step)}, step {step:,}: {self._values(step, values)}")

    def line(self, text: str) -> None:
        """Prints a line that stays on the screen."""
        self.shown = time.monotonic()
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif self.visible:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _epoch(self, step: int) -> str:
        done = max(step - 1, 0) // self.steps_per_epoch + 1
        return f"epoch {done} of {-(-self.total // self.steps_per_epoch)}"

    def _values(self, step: int, values: Mapping[str, float]) -> str:
        passed = time.monotonic() - self.began
        left = passed / max(step - self.start, 1) * (self.total - step)
        numbers = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in values.items()]
        return ", ".join(
            [*numbers, f"{self.tokens_per_second:,.0f} tokens/s", f"{format_duration(left)} left"]
        )


def format_duration(seconds: float) -> str:
    """Returns a duration such as "1:05" or "2:03:07"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
