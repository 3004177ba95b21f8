"""What `deploy --target triton` writes: Triton accepts it, by its rules and by itself, and it runs."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import httpx
import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

import export
from export.cli import main

NAMES = ("mood", "bard", "en-de")
ORT_TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(int32)": "TYPE_INT32",
    "tensor(uint8)": "TYPE_UINT8",
}


NUMPY = {"TYPE_FP32": "float32", "TYPE_INT32": "int32", "TYPE_UINT8": "uint8"}


@pytest.fixture(scope="module")
def repository(served, tmp_path_factory):
    """The folder of Triton's models of all bundles."""
    folder = tmp_path_factory.mktemp("triton")
    for name in NAMES:
        output = folder.parent / f"{folder.name}-{name}"
        arguments = ["deploy", str(served / name), "--target", "triton", "--output", str(output)]
        assert main([*arguments, "--max-batch", "24", "--max-wait-ms", "0.5"]) == 0
        for model in output.iterdir():
            model.rename(folder / model.name)
    return folder


@pytest.fixture(scope="module")
def models(repository):
    """Each model's configuration, and the types and shapes of its file as onnxruntime reports them
    to Triton; -1 is any size.
    """
    found = {}
    for model in repository.iterdir():
        config = text_format.Parse((model / "config.pbtxt").read_text(), ModelConfig())
        session = onnxruntime.InferenceSession(str(model / "1" / "model.onnx"))
        both = session.get_inputs(), session.get_outputs()
        found[model.name] = config, *({t.name: read(t) for t in tensors} for tensors in both)
    return found


def read(tensor):
    return ORT_TYPES[tensor.type], [size if isinstance(size, int) else -1 for size in tensor.shape]


def refusals(config, inputs, outputs):
    """What Triton refuses in a configuration: its own rules (ValidateModelConfig and
    ValidateModelIOConfig), and those of its onnxruntime backend, which compares it with the file.
    """
    if not config.name or config.backend != "onnxruntime" or config.max_batch_size < 0:
        yield "name, backend and size of a batch"
    if config.HasField("dynamic_batching") and not config.max_batch_size:
        yield "requests that are batched by a model without batches"
    if any(
        not 0 < n <= config.max_batch_size for n in config.dynamic_batching.preferred_batch_size
    ):
        yield "preferred size of a batch"
    for entries, tensors in ((config.input, inputs), (config.output, outputs)):
        names = [entry.name for entry in entries]
        if len({*names}) < len(names) or {*names} != {*tensors}:
            yield f"{names} for {[*tensors]}"
        for entry in entries:
            yield from refusals_of_tensor(entry, config, *tensors[entry.name], entries)


def refusals_of_tensor(entry, config, kind, shape, entries):
    dims, is_reshaped = [*entry.dims], entry.HasField("reshape")
    given = [*entry.reshape.shape] if is_reshaped else dims
    if DataType.Name(entry.data_type) != kind:
        yield f"{entry.name}: the type is not the file's"
    if not dims or not all(size >= 1 or size == -1 for size in [*dims, *given]):
        yield f"{entry.name}: a dimension is missing, 0 or negative"
    if is_reshaped and not given and not config.max_batch_size:
        yield f"{entry.name}: an empty reshape without batches"
    if is_reshaped and trunks(dims) != trunks(given):
        yield f"{entry.name}: dims and reshape differ in size"
    if not shape:
        # The backend makes it a tensor without dimensions.
        if any(size != 1 for size in given):
            yield f"{entry.name}: a number that is not of size 1"
        return
    if config.max_batch_size:
        if shape[0] != -1:
            yield f"{entry.name}: the file has no open batch"
        given = [-1, *given]
    exact = entries is config.output
    agree = len(given) == len(shape) and all(
        a == b or (b == -1 and not exact) for a, b in zip(given, shape, strict=True)
    )
    if not agree:
        yield f"{entry.name}: {given} for {shape} in the file"


def trunks(dims):
    """The sizes of the parts between open dimensions."""
    sizes = [1]
    for size in dims:
        if size == -1:
            sizes.append(1)
        else:
            sizes[-1] *= size
    return sizes


def test_a_model_of_every_signature(models, served):
    names = {f"{n}.{s}" for n in NAMES for s in export.load(served / n).signatures}
    assert {*models} == names
    assert all(config.name == name for name, (config, *_) in models.items())


def test_triton_would_refuse_none(models):
    found = {name: [*refusals(*model)] for name, model in models.items()}
    assert not {name: told for name, told in found.items() if told}


def test_the_files_declare_what_the_configurations_say(models, repository):
    """By the onnx package: onnxruntime may know more of a size than the file declares, never else."""
    for name, (config, *_) in models.items():
        path = repository / name / "1" / "model.onnx"
        graph = onnx.load(str(path), load_external_data=False).graph
        weights = {tensor.name for tensor in graph.initializer}
        values = {v.name: v.type.tensor_type for v in (*graph.input, *graph.output)}
        entries = [*config.input, *config.output]
        assert {entry.name for entry in entries} == {*values} - weights
        for entry in entries:
            tensor = values[entry.name]
            kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
            assert NUMPY[DataType.Name(entry.data_type)] == kind
            declared = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
            given = [*entry.reshape.shape] if entry.HasField("reshape") else [*entry.dims]
            given = [-1, *given] if config.max_batch_size else given if declared else []
            assert len(given) == len(declared), (name, entry.name)
            assert all(d in (-1, g) for d, g in zip(declared, given, strict=True)), entry.name


def test_the_rules_find_what_triton_refuses(models):
    """Each fault that Triton names, put into a configuration that it accepts."""

    def find(name, change):
        config, inputs, outputs = models[name]
        changed = ModelConfig.FromString(config.SerializeToString())
        change(changed, {entry.name: entry for entry in changed.input})
        return [*refusals(changed, inputs, outputs)]

    assert find("bard.generate_text", lambda c, i: i["temperature"].reshape.SetInParent())
    assert find("bard.generate_text", lambda c, i: i["temperature"].dims.append(2))
    assert find("bard.generate_text", lambda c, i: i["text"].dims.append(1))
    assert find("mood.classify_text", lambda c, i: i["length"].ClearField("reshape"))
    assert find("mood.classify_text", lambda c, i: i["length"].ClearField("dims"))
    assert find("mood.classify_text", lambda c, i: i["text"].ClearField("data_type"))
    assert find("mood.classify_text", lambda c, i: c.ClearField("max_batch_size"))
    assert find("mood.classify_text", lambda c, i: c.output.pop())


def test_rows_are_batched_where_all_have_them(models):
    config, *_ = models["mood.classify_text"]
    assert config.max_batch_size == 24
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    length = next(entry for entry in config.input if entry.name == "length")
    assert (list(length.dims), list(length.reshape.shape)) == ([1], [])
    assert length.HasField("reshape")
    config, *_ = models["bard.generate_text"]
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    number = next(entry for entry in config.input if entry.name == "temperature")
    assert list(number.dims) == [1]
    assert not number.HasField("reshape")


def test_the_files_answer_as_the_bundle_does(repository, served):
    path = repository / "mood.classify_text" / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(str(path))
    texts = [b"fine", b"so dull"]
    text = np.zeros((2, 7), "uint8")
    for row, value in zip(text, texts, strict=True):
        row[: len(value)] = list(value)
    found = session.run(["probabilities"], {"text": text, "length": np.int32([4, 7])})[0]
    wanted = export.load(served / "mood", "onnx").classify_text(texts)["probabilities"]
    np.testing.assert_array_equal(found, wanted)


# Stands for Triton's onnxruntime backend, which no package brings: the server itself compares a
# configuration with its rules once some backend is there.
MODEL = """
class TritonPythonModel:
    def execute(self, requests):
        return []
"""


@pytest.fixture(scope="module")
def triton(repository, tmp_path_factory):
    """The address of a real server of the models.

    TRITONSERVER names a folder that has bin/tritonserver and backends/python, such as
    pytriton/tritonserver in the wheel nvidia-pytriton, which `.ci/full` installs beside all else.
    """
    folder = Path(os.environ["TRITONSERVER"])
    copy = tmp_path_factory.mktemp("served") / "models"
    shutil.copytree(repository, copy)
    for model in copy.iterdir():
        config = (model / "config.pbtxt").read_text()
        (model / "config.pbtxt").write_text(config.replace('"onnxruntime"', '"python"'))
        (model / "1" / "model.py").write_text(MODEL)
    # Links: the programs find their libraries from where they are.
    backend = copy.parent / "backends" / "python"
    backend.mkdir(parents=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stubs = folder / "python_backend_stubs" / version
    for file in (*(folder / "backends" / "python").iterdir(), *stubs.glob("*_stub")):
        with contextlib.suppress(FileExistsError):
            (backend / file.name).symlink_to(file)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    command = [folder / "bin" / "tritonserver", f"--model-repository={copy}"]
    command += [f"--backend-directory={backend.parent}", "--disable-auto-complete-config"]
    command += ["--exit-on-error=true", "--allow-grpc=false", "--allow-metrics=false"]
    command += [f"--http-port={ports[0]}"]
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    log = copy.parent / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    url = f"http://127.0.0.1:{ports[0]}"
    try:
        for _ in range(300):
            assert process.poll() is None, log.read_text()[-3000:]
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/v2/health/ready").status_code == 200:
                    break
            time.sleep(0.2)
        else:
            pytest.fail(log.read_text()[-3000:])
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.full
def test_a_real_server_accepts_them(triton, models):
    for name, (config, *_) in models.items():
        assert httpx.get(f"{triton}/v2/models/{name}/ready").status_code == 200
        found = httpx.get(f"{triton}/v2/models/{name}").json()
        assert {tensor["name"] for tensor in found["inputs"]} == {i.name for i in config.input}
