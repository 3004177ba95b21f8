"""A signature of a bundle as a model of kserve, by the name BUNDLE.SIGNATURE."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kserve import Model

from export.formats.interrupt import Interrupt
from export.runtime import LoadedBundle
from export.serving import wire
from export.serving.answers import Answer, require_outputs, select_outputs, write_labels
from export.serving.batching import Batcher
from export.serving.budget import Budget, Reservation
from export.serving.collating import (
    collate,
    count_rows,
    join,
    make_key,
    measure_width,
    slice_rows,
    split,
)
from export.serving.copies import open_copy
from export.serving.costs import count_answer_bytes, count_packed_bytes
from export.serving.protocol import InferRequest
from export.serving.records import observe
from export.serving.settings import Limits
from export.serving.workers import Workers
from keras_seq.errors import UserError
from keras_seq.signature import UNREAD, SignatureSpec
from keras_seq.typing import Arrays

# What clients of a model rely on, beside its answers: it stays until the server is restarted.
CONTRACT = {
    "signatures": lambda loaded: loaded.signatures,
    "limits": lambda loaded: loaded.limits,
    "classes": lambda loaded: loaded.labels,
    "main signatures": lambda loaded: loaded.manifest["entry"],
}


class ServedBundle:
    """A bundle whose ONNX files are open, and how to open them again.

    Args:
        path: Folder of the bundle.
        threads: Threads of each call.
        cache_dir: Where the copy that is opened lies; see `export.serving.copies`.
    """

    def __init__(self, path: Path, threads: int, cache_dir: Path | None = None) -> None:
        self._path, self._threads, self._cache_dir = path, threads, cache_dir
        self.loaded = self._load()

    def _load(self) -> LoadedBundle:
        return open_copy(self._path, self._threads, self._cache_dir)

    async def reload(self) -> None:
        """Opens the bundle again; running calls finish with the old files.

        Raises:
            UserError: If it is damaged, or another model: then the old files stay in use.
        """
        loaded = await asyncio.to_thread(self._load)
        for name, read in CONTRACT.items():
            if read(loaded) != read(self.loaded):
                raise UserError(
                    f"{self._path} has other {name} than the model that is served. Restart the "
                    "server to serve it."
                )
        self.loaded = loaded

    @property
    def main(self) -> str:
        """Name of the signature that the bundle's own name stands for."""
        return self.loaded.manifest["entry"]["signature"]

    @property
    def parts(self) -> tuple[str, str] | None:
        """Names of the two signatures that write a text part by part; None if there are none.

        The first reads a prompt, the second continues from the state that the first returns.
        """
        names = self.loaded.manifest["entry"]["interactive"]
        if len(names) != 2:
            return None
        first, following = (self.loaded.signatures[name] for name in names)
        state = {t.name for t in first.outputs} & {t.name for t in following.inputs}
        return tuple(names) if first.texts and state and not following.texts else None


class ServedSignature(Model):
    """One signature.

    Args:
        name: Name of the model, BUNDLE.SIGNATURE.
        bundle: Bundle of the signature.
        signature: Name of the signature in it.
        workers: Threads that run the runtime.
        budget: Memory of all requests.
        limits: Batch size, queue and deadline.
    """

    def __init__(
        self,
        name: str,
        bundle: ServedBundle,
        signature: str,
        workers: Workers,
        budget: Budget,
        limits: Limits,
    ) -> None:
        super().__init__(name)
        self.bundle, self.signature = bundle, signature
        self._workers, self._budget, self._limits = workers, budget, limits
        self._batcher = Batcher(self._run, workers, limits, partial(observe, name))
        self.ready = True

    @property
    def spec(self) -> SignatureSpec:
        """Its name, inputs and outputs."""
        return self.bundle.loaded.signatures[self.signature]

    def get_input_types(self) -> list[dict[str, Any]]:
        """Returns the tensors for the model's metadata."""
        return wire.describe_tensors(self.spec.inputs)

    def get_output_types(self) -> list[dict[str, Any]]:
        """Returns the tensors for the model's metadata."""
        return wire.describe_tensors(self.spec.outputs)

    def describe_parameters(self) -> dict[str, Any]:
        """Returns the task, and the names of the classes as a JSON list where there are some."""
        manifest = self.bundle.loaded.manifest
        return {"task": manifest["task"], **write_labels(manifest["labels"])}

    def refuse_if_full(self) -> None:
        """Raises BusyError if the queue is full."""
        self._batcher.refuse_if_full()

    def stop(self) -> None:
        """Ends what runs, and refuses what waits."""
        self._batcher.stop()

    async def answer(
        self,
        loaded: LoadedBundle,
        inputs: dict[str, Any],
        reservation: Reservation,
        seed: int | None = None,
    ) -> Arrays:
        """Returns outputs by name; takes inputs as `LoadedBundle.run` does.

        Args:
            loaded: What runs it: `bundle.loaded`, or what that was when a text began.
            inputs: The inputs.
            reservation: Memory of the request, which grows to what it needs.
            seed: Seed of random inputs that are left out.

        Raises:
            UserError: If they are not the signature's.
            SizeError: If the answer would be too large.
            BusyError: If there is no room for the request now.
            LateError: If its answer is not there in time.
        """
        self.refuse_if_full()
        spec = loaded.signatures[self.signature]
        held = reservation.size
        packed = count_packed_bytes(spec, inputs, loaded.limits)
        reservation.grow(packed, "The request")
        prepare = partial(loaded.prepare, self.signature, **{"seed": seed, **inputs})
        arrays, unread = await self._workers.run_beside(prepare, packed)
        reservation.shrink_to(held + sum(array.nbytes for array in arrays.values()))
        needed = count_answer_bytes(spec, arrays, loaded.limits, self._limits.max_batch)
        reservation.grow(needed, "The answer")
        rows = count_rows(spec, arrays)
        parts = await self._batcher.submit(
            loaded, arrays, rows, measure_width(spec, arrays), make_key(spec, arrays)
        )
        del arrays
        size = sum(array.nbytes for part in parts for array in part.values())
        outputs = await self._workers.run_beside(partial(join, spec, parts), size)
        if unread is not None and spec.counts_unread:
            outputs = {**outputs, UNREAD.name: outputs[UNREAD.name] + unread}
        reservation.shrink_to(held + sum(array.nbytes for array in outputs.values()))
        return outputs

    async def infer(self, request: InferRequest, reservation: Reservation) -> Answer:
        """Returns the answer to a request of the protocol; raises as `answer`."""
        loaded = self.bundle.loaded
        spec = loaded.signatures[self.signature]
        names = [tensor["name"] for tensor in wire.describe_tensors(spec.outputs)]
        require_outputs(spec, names, request)
        read = partial(wire.read_inputs, spec, request, self._limits.max_rows)
        inputs = await self._workers.run_beside(read, reservation.size)
        outputs = await self.answer(loaded, inputs, reservation, request.parameters.get("seed"))
        labels = loaded.manifest["labels"]
        select = partial(select_outputs, spec, outputs, request, labels)
        return Answer(
            self.name, request.id, await self._workers.run_beside(select, reservation.size)
        )

    def _run(
        self, loaded: LoadedBundle, parts: Sequence[tuple[Arrays, int, int]], interrupt: Interrupt
    ) -> list[Arrays]:
        spec = loaded.signatures[self.signature]
        requests = [slice_rows(spec, arrays, start, stop) for arrays, start, stop in parts]
        outputs = loaded.run_prepared(self.signature, collate(spec, requests), interrupt=interrupt)
        return split(spec, outputs, [count_rows(spec, arrays) for arrays in requests])
