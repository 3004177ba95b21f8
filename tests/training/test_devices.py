"""One device, several, and several processes reach the same loss on the same batches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keras_seq.errors import UserError
from keras_seq.training import Devices

pytestmark = pytest.mark.slow

SETTINGS = ["--backbone", "lstm", "--epochs", "1", "--dropout", "0", "--tokenizer", "bytes"]
SETTINGS += ["--max-length", "32", "--hidden-dim", "16", "--batch-size", "20"]
SETTINGS += ["--average", "0.9"]

WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None\n"
TWO_LOGICAL_CPUS = """
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""
MAIN = "\nfrom keras_seq.cli import main\nimport sys\nsys.exit(main(sys.argv[1:]))"


def start(prepare, file, run, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", prepare + MAIN, "train", "classify", "--data", str(file),
         *SETTINGS, "--output", str(run), *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def losses(processes, run):
    for process in processes:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors[-3000:]
    (line,) = (run / "metrics.jsonl").read_text().splitlines()
    values = json.loads(line)
    assert values["step"] == 18
    return values["loss"], values["val_loss"]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def one_jax_device(tmp_path_factory, few_reviews_file):
    run = tmp_path_factory.mktemp("devices") / "one"
    process = start(WITHOUT_TENSORFLOW, few_reviews_file, run, KERAS_BACKEND="jax")
    return losses([process], run)


def test_two_jax_devices(one_jax_device, few_reviews_file, tmp_path):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    process = start(
        WITHOUT_TENSORFLOW, few_reviews_file, tmp_path / "run", "--devices", "all",
        KERAS_BACKEND="jax", XLA_FLAGS=flags,
    )  # fmt: skip
    assert losses([process], tmp_path / "run") == pytest.approx(one_jax_device, abs=1e-4)


def test_two_jax_processes(one_jax_device, few_reviews_file, tmp_path):
    arguments = ["--coordinator", f"127.0.0.1:{free_port()}", "--processes", "2", "--process-id"]
    processes = [
        start(
            WITHOUT_TENSORFLOW,
            few_reviews_file,
            tmp_path / "run",
            *arguments,
            str(i),
            KERAS_BACKEND="jax",
        )
        for i in (1, 0)
    ]
    assert losses(processes, tmp_path / "run") == pytest.approx(one_jax_device, abs=1e-4)
    assert (tmp_path / "run" / "evaluation.json").is_file()


def test_two_tensorflow_devices(few_reviews_file, tmp_path):
    one = start("", few_reviews_file, tmp_path / "one")
    expected = losses([one], tmp_path / "one")
    two = start(TWO_LOGICAL_CPUS, few_reviews_file, tmp_path / "two", "--devices", "2")
    assert losses([two], tmp_path / "two") == pytest.approx(expected, abs=1e-4)


def test_devices_that_are_not_there_or_make_no_sense():
    for wrong, words in (
        ({"count": 0}, "Received: 0"),
        ({"processes": 2}, "--coordinator HOST:PORT"),
        ({"coordinator": "a:1"}, "--processes"),
        ({"coordinator": "a:1", "processes": 2, "process_id": 2}, "process-id is from 0 to 1"),
        ({"coordinator": "a:1", "processes": 2}, "KERAS_BACKEND=jax"),
    ):
        with pytest.raises(UserError, match=words):
            Devices(**wrong)
    with pytest.raises(UserError, match=r"There are 1 devices .* --devices 3"), Devices(3).use(6):
        pass
    with Devices(None).use(7):
        pass
