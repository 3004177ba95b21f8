"""The evaluation after each epoch, on as many batches as there is time for."""

import time
from typing import Any

import keras
import numpy as np

from keras_seq.data.batches import Batches
from keras_seq.data.feed import feed
from keras_seq.training.devices import Devices
from keras_seq.training.interrupts import StopSignal

MIN_SECONDS = 20.0
SHARE = 0.25  # of the seconds of an epoch's training


class Validation:
    """Evaluates a model on the same batches after each epoch.

    How many of them there are is decided by the clock, once: the first evaluation ends after a
    quarter of the time that an epoch's training takes, 20 seconds at least. Where several processes
    train, whose clocks differ, all batches are read.

    Args:
        batches: The batches.
        devices: Where to evaluate.
        stop: Whether to stop.

    Attributes:
        steps: Number of batches read; None before the first evaluation. A resumed run sets it.
    """

    def __init__(self, batches: Batches, devices: Devices, stop: StopSignal) -> None:
        self.batches, self.devices, self.stop = batches, devices, stop
        self.steps: int | None = None if devices.processes == 1 else len(batches)

    @property
    def is_cut(self) -> bool:
        """Whether some batches are not read."""
        return self.steps is not None and self.steps < len(self.batches)

    def evaluate(self, model: keras.Model, epoch_seconds: float) -> dict[str, float]:
        """Returns the loss and the metrics of a compiled model, by name.

        They are not complete where a signal was received meanwhile.

        Args:
            model: The model.
            epoch_seconds: Seconds that an epoch's training takes.
        """
        limit = max(MIN_SECONDS, SHARE * epoch_seconds) if self.steps is None else None
        watch = _Watch(self.stop, limit)
        metrics = model.evaluate(
            feed(self.batches, share=self.devices.share),
            steps=self.steps or len(self.batches),
            callbacks=[watch],
            return_dict=True,
            verbose=0,
        )
        if not self.stop.received:
            self.steps = self.steps or watch.done
        values = {name: float(value) for name, value in metrics.items()}
        # Keras divides by all rows, including those that only fill up the last batch.
        values["loss"] /= self._mean_weight()
        return values

    def _mean_weight(self) -> float:
        if not self.is_cut:
            return self.batches.weighted_fraction
        return float(np.mean([self.batches[i].weight.mean() for i in range(self.steps)]))


class _Watch(keras.callbacks.Callback):
    """Ends an evaluation when its time is over, or a signal was received."""

    def __init__(self, stop: StopSignal, limit: float | None) -> None:
        super().__init__()
        self.stop, self.limit = stop, limit
        self.done = 0
        self.began: float | None = None

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.done += 1
        now = time.monotonic()
        self.began = now if self.began is None else self.began  # The first batch is compiled.
        late = self.limit is not None and now - self.began > self.limit
        if late or self.stop.received:
            self.model.stop_evaluating = True
