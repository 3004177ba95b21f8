"""What a run shows on a terminal, and what counts as time of training."""

import io
import re
import sys
import time

import pytest

from keras_seq.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_for_each_epoch_on_one_line_with_the_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress(total=20, steps_per_epoch=10, start=0)
    for step in range(1, 21):
        time.sleep(0.12)
        progress.update(step, 100, {"loss": 1 / step})
    progress.line("done")
    progress.close()
    shown = terminal.getvalue()
    bars = re.findall(r"epoch (\d) of 2 +(\d+)% \|.*?\| ([^\r]*)", shown)
    first = [int(percent) for epoch, percent, _ in bars if epoch == "1"]
    second = [int(percent) for epoch, percent, _ in bars if epoch == "2"]
    assert first[-1] == second[-1] == 100
    assert first == sorted(first)
    assert second == sorted(second)
    assert second[0] <= 20
    assert re.search(r"loss 0.2, [\d,]+ tokens/s, 0:0\d left", shown)
    assert shown.count("\n") == 1  # that of "done": the bars share a line


def test_tokens_a_second_are_those_of_training():
    progress = Progress(total=40, steps_per_epoch=10, start=20, visible=False)
    time.sleep(0.3)  # the first step is compiled
    progress.update(21, 10_000, {})
    for step in range(22, 31):
        time.sleep(0.02)
        progress.update(step, 100, {})
    with progress.pause("validating"):
        time.sleep(0.5)
    progress.update(31, 100, {})
    # 1,000 tokens in 9 steps of 0.02 seconds, and not in half a second more.
    assert 1000 / 0.4 < progress.tokens_per_second <= 1000 / 0.18
    assert progress.epoch_seconds == pytest.approx(10 * progress.clock.seconds / 10)
