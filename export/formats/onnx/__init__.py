"""ONNX through tf2onnx: one file a signature; weights that several of them have stand once."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.formats import add_precision
from export.formats.interrupt import Interrupt
from export.formats.onnx.external import list_external
from keras_seq.errors import UserError
from keras_seq.signature import Signature
from keras_seq.typing import Shapes

FOLDER = "onnx"
WEIGHTS = "weights.bin"
STATIC = False
RULES = True
STRINGS = False
RUNS_CODE = False
PROVIDER = "ExecutionProvider"
REMOTE = ("AzureExecutionProvider",)  # calls a service: no device of this machine
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
REQUIRES = "onnxruntime"
EXTRA = "onnx"
USE = """\
```python
from keras_seq import export

export.load("BUNDLE", VARIANT).CALL
```"""


def write(signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]) -> None:
    """Writes `folder/onnx/NAME.onnx` for each signature, with the dimensions in `sizes` fixed.

    Where two of them have a tensor in common, `folder/onnx/weights.bin` holds it.

    Raises:
        UserError: If tf2onnx cannot convert the model.
    """
    from export.formats.onnx.writer import write_files

    write_files(signatures, folder / FOLDER, sizes)


def name_files(signatures: Collection[str], precision: str) -> list[str]:
    """Returns the files that the signatures need."""
    return [f"{FOLDER}/{add_precision(f'{name}.onnx', precision)}" for name in signatures]


def operators(folder: Path, files: Collection[str] | None = None) -> Counter[str]:
    """Counts the operators in the files, or in `files` alone, bodies of loops included."""
    import onnx

    from export.formats.onnx.links import graphs

    paths = sorted((folder / FOLDER).glob("*.onnx"))
    if files is not None:
        paths = [folder / name for name in files if name.endswith(".onnx")]
    models = [onnx.load(str(path), load_external_data=False) for path in paths]
    return Counter(
        node.op_type for model in models for graph in graphs(model.graph) for node in graph.node
    )


def output_name(name: str, inputs: Collection[str]) -> str:
    """Returns the name in the file of the output `name` of a signature.

    An ONNX graph has one value of a name: an output that is named like an input gets another.
    """
    return f"{name}_out" if name in inputs else name


def _choose_providers(device: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns the execution providers of a device, with their options, the preferred one first."""
    import onnxruntime

    available = {
        name.removesuffix(PROVIDER).lower(): name
        for name in onnxruntime.get_available_providers()
        if name not in REMOTE
    }
    kind, _, number = device.lower().partition(":")
    if kind not in available or not (number.isdigit() or ":" not in device):
        advice = " For an NVIDIA GPU: pip install onnxruntime-gpu, then device='cuda'."
        raise UserError(
            f"This onnxruntime has the devices {', '.join(sorted(available))}. Received: "
            f"{device!r}.{advice if kind[:3] in ('gpu', 'cud') and 'cuda' not in available else ''}"
        )
    options = {"device_id": number} if number else {}
    others = [] if kind == "cpu" else [(f"CPU{PROVIDER}", {})]
    return [(available[kind], options), *others]


class Runner:
    """Runs `onnx/*.onnx` with onnxruntime; each file is opened at its first call.

    A device is the name of an execution provider without "ExecutionProvider", in any case, such as
    "cuda" or "coreml"; "cuda:1" is the second one of its kind. Operators that it lacks run on the
    CPU.
    """

    def __init__(
        self,
        folder: Path,
        threads: int | None,
        precision: str = "float32",
        device: str | None = None,
        files: Collection[str] | None = None,
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = _choose_providers(device or "cpu")

        def open_file(path: Path) -> Any:
            # Without a list: what is in the folder itself.
            listed = files or [f"{FOLDER}/{file.name}" for file in path.parent.iterdir()]
            for name in sorted(list_external(path)):
                if f"{FOLDER}/{name}" not in listed:
                    raise UserError(
                        f"{path} takes weights from {name!a}, which is not in the manifest's "
                        "list of its files. Refused: export the model again."
                    )
            session = onnxruntime.InferenceSession(str(path), options, providers=providers)
            if session.get_providers()[0] != providers[0][0]:
                raise UserError(
                    f"onnxruntime cannot use the device {device}: it fell back to "
                    f"{', '.join(session.get_providers())}. Its log says why; check the driver."
                )
            return session

        self._open, self._make_options = open_file, onnxruntime.RunOptions
        self._folder, self._precision = folder / FOLDER, precision
        self._sessions: dict[str, Any] = {}

    def open(self, signature: str) -> tuple[Shapes, list[str]]:
        """Returns a signature's inputs with their shapes, and the names of its outputs."""
        session = self.session(signature)
        shapes = {
            tensor.name: [size if isinstance(size, int) else None for size in tensor.shape]
            for tensor in session.get_inputs()
        }
        return shapes, [tensor.name for tensor in session.get_outputs()]

    def session(self, signature: str) -> Any:
        """Returns the session of a signature."""
        if signature not in self._sessions:
            name = add_precision(f"{signature}.onnx", self._precision)
            self._sessions[signature] = self._open(self._folder / name)
        return self._sessions[signature]

    def __call__(
        self, signature: str, inputs: dict[str, np.ndarray], interrupt: Interrupt | None = None
    ) -> dict[str, np.ndarray]:
        session = self.session(signature)
        names = [output.name for output in session.get_outputs()]
        # tf2onnx leaves out an input that the model does not use.
        used = {tensor.name: inputs[tensor.name] for tensor in session.get_inputs()}
        renamed = {output_name(name, inputs): name for name in inputs}
        options = None
        if interrupt is not None:
            options = self._make_options()
            interrupt.bind(lambda: setattr(options, "terminate", True))
        values = zip(names, session.run(names, used, options), strict=True)
        return {renamed.get(name, name): value for name, value in values}
