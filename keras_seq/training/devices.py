"""Training on one or several devices with the means of the Keras backend.

With TensorFlow one process uses the devices of one host (`tf.distribute.MirroredStrategy`). With
JAX each of several processes, on one or more hosts, uses its own (`keras.distribution`). Each
device computes its share of every batch, and the gradients are summed: the result is that of one
device with the whole batch.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from keras_seq.errors import UserError


@dataclass(frozen=True)
class Devices:
    """The devices that train.

    Attributes:
        count: Number of devices of each process; None for all.
        coordinator: "HOST:PORT" where process 0 of several listens (JAX).
        processes: Number of processes.
        process_id: Number of this process, from 0.
    """

    count: int | None = 1
    coordinator: str | None = None
    processes: int = 1
    process_id: int = 0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise UserError(f"devices is a number from 1, or all. Received: {self.count}")
        if (self.coordinator is None) != (self.processes == 1):
            raise UserError(
                "Several processes need --coordinator HOST:PORT, the same for all, and --processes "
                f"N with N above 1. Received: {self.coordinator}, {self.processes}"
            )
        if not 0 <= self.process_id < self.processes:
            raise UserError(
                f"process-id is from 0 to {self.processes - 1}. Received: {self.process_id}"
            )
        if self.coordinator and keras.backend.backend() != "jax":
            raise UserError(
                "Several processes train with JAX. Set KERAS_BACKEND=jax. Received: "
                f"KERAS_BACKEND={keras.backend.backend()}"
            )

    @property
    def chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.process_id == 0

    @property
    def share(self) -> tuple[int, int]:
        """The part of each batch that this process reads: `(i, n)`."""
        return self.process_id, self.processes

    @contextlib.contextmanager
    def use(self, batch_size: int) -> Iterator[None]:
        """Makes models that are built and trained inside use these devices.

        Raises:
            UserError: If there are fewer devices, or `batch_size` does not divide among them.
        """
        if self.coordinator:
            keras.distribution.initialize(self.coordinator, self.processes, self.process_id)
        names = self._names()
        if batch_size % len(names):
            raise UserError(
                f"The batch size must divide by the number of devices. Received: batch_size="
                f"{batch_size}, devices={len(names)}"
            )
        if len(names) == 1:
            yield
        elif keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with tf.distribute.MirroredStrategy(names).scope():
                yield
        else:
            keras.distribution.set_distribution(
                keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
            )
            try:
                yield
            finally:
                keras.distribution.set_distribution(None)

    def _names(self) -> list[str]:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            names = [device.name for device in devices]
        else:
            names = keras.distribution.list_devices()
        count = len(names) if self.count is None else self.count * self.processes
        if count > len(names):
            raise UserError(
                f"There are {len(names)} devices ({', '.join(names)}). Received: "
                f"--devices {self.count}"
                + (f" in each of {self.processes} processes" if self.processes > 1 else "")
            )
        return names[:count]
