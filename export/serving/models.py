"""A signature of a bundle as a model of kserve, by the name BUNDLE.SIGNATURE."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferOutput, InferResponse, Model

from export.runtime import LoadedBundle
from export.serving import wire
from export.serving.batching import Batcher
from export.serving.collating import collate, count_rows, make_key, measure_width, split
from export.serving.copies import open_copy
from export.serving.records import observe
from export.serving.settings import Limits
from keras_seq.errors import UserError
from keras_seq.signature import UNREAD, SignatureSpec
from keras_seq.typing import Arrays


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
        if list(loaded.signatures) != list(self.loaded.signatures):
            raise UserError(
                f"{self._path} has the signatures {', '.join(loaded.signatures)}, and had "
                f"{', '.join(self.loaded.signatures)}. Restart the server to serve it."
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
        executor: Threads that run the runtime.
        worker_slots: One slot for each of them.
        limits: Batch size, queue and deadline.
    """

    def __init__(
        self,
        name: str,
        bundle: ServedBundle,
        signature: str,
        executor: Executor,
        worker_slots: asyncio.Semaphore,
        limits: Limits,
    ) -> None:
        super().__init__(name)
        self.bundle, self.signature = bundle, signature
        self._max_batch = limits.max_batch
        self._batcher = Batcher(
            self._run,
            executor,
            worker_slots,
            limits,
            partial(observe, name),
        )
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
        return {"task": manifest["task"], **_write_labels(manifest["labels"])}

    def refuse_if_full(self) -> None:
        """Raises BusyError if the queue is full."""
        self._batcher.refuse_if_full()

    async def answer(self, inputs: dict[str, Any], seed: int | None = None) -> Arrays:
        """Returns outputs by name; takes inputs as `LoadedBundle.run` does.

        Raises:
            UserError: If they are not the signature's.
            BusyError: If the queue is full.
            LateError: If its turn does not come in time.
        """
        arrays, unread = self.bundle.loaded.prepare(self.signature, **{"seed": seed, **inputs})
        spec = self.spec
        rows = count_rows(spec, arrays)
        outputs = await self._batcher.submit(
            arrays, rows, measure_width(spec, arrays), make_key(spec, arrays)
        )
        if unread is not None and spec.counts_unread:
            outputs = {**outputs, UNREAD.name: outputs[UNREAD.name] + unread}
        return outputs

    async def predict(self, payload: Any, headers: Any = None) -> InferResponse:
        """Answers an `InferRequest` with an `InferResponse`."""
        spec = self.spec
        if not hasattr(payload, "inputs"):
            raise UserError(
                "Only version 2 of the Open Inference Protocol is supported: POST "
                f"/v2/models/{self.name}/infer"
            )
        parameters = _read_parameters(payload.parameters)
        answers = wire.write_outputs(
            spec, await self.answer(wire.read_inputs(spec, payload), parameters.get("seed"))
        )
        requested = payload.request_outputs
        unknown = [output.name for output in requested or () if output.name not in answers]
        if unknown:
            raise UserError(f"{spec.name} gives {', '.join(answers)}. Received: {unknown[0]!r}")
        outputs = []
        labels = self.bundle.loaded.manifest["labels"]
        for name, (datatype, array) in answers.items():
            is_of_classes = array.ndim == 2 and array.shape[1] == len(labels)
            parameters = _write_labels(labels) if is_of_classes else None
            output = InferOutput(name, list(array.shape), datatype, parameters=parameters)
            output.set_data_from_numpy(_make_readable(array, payload, name), binary_data=True)
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or "",
            model_name=self.name,
            infer_outputs=outputs,
            from_grpc=payload.from_grpc,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=requested,
        )

    def _run(self, requests: Sequence[Arrays]) -> list[Arrays]:
        loaded = self.bundle.loaded
        spec = loaded.signatures[self.signature]
        arrays = collate(spec, requests)
        # A request with more rows than a batch would need memory for all of them at once.
        outputs = loaded.run_prepared(self.signature, arrays, self._max_batch)
        return split(spec, outputs, [count_rows(spec, arrays) for arrays in requests])


def _write_labels(labels: Sequence[str]) -> dict[str, str]:
    """Returns the names of the classes as a parameter: by the protocol that is no list."""
    return {"labels": json.dumps(labels, ensure_ascii=False)} if labels else {}


def _read_parameters(parameters: Any) -> dict[str, Any]:
    """Returns the parameters of a request of either protocol as a dict."""
    if isinstance(parameters, list | str):
        raise UserError(f"parameters are an object of JSON. Received: {parameters!r}")
    values = {}
    for name, value in dict(parameters or {}).items():
        kind = value.WhichOneof("parameter_choice") if hasattr(value, "WhichOneof") else None
        values[name] = getattr(value, kind) if kind else value
    return values


def _make_readable(array: np.ndarray, payload: Any, name: str) -> np.ndarray:
    """Replaces invalid UTF-8 by U+FFFD in texts for JSON; returns anything else unchanged."""
    if array.dtype != object or payload.from_grpc:
        return array
    requested = {output.name: output.binary_data for output in payload.request_outputs or ()}
    if requested.get(name, payload.use_binary_outputs):
        return array
    clean = [value.decode("utf-8", "replace").encode() for value in array.ravel()]
    return np.array(clean, object).reshape(array.shape)
