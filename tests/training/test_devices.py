"""One device, several, and several processes reach the same loss on the same batches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keras_seq.cli import main
from keras_seq.errors import UserError
from keras_seq.training import Devices

pytestmark = pytest.mark.slow

SETTINGS = ["--backbone", "rnn", "--epochs", "1", "--dropout", "0", "--tokenizer", "bytes"]
SETTINGS += ["--max-length", "32", "--hidden-dim", "16", "--batch-size", "20"]
SETTINGS += ["--average", "0.9"]

WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None\n"
TWO_LOGICAL_CPUS = """
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""
# On one device, and after "and" on others, in one process.
MAIN = """
import sys
from keras_seq.cli import main
for arguments in " ".join(sys.argv[1:]).split(" and "):
    assert main(arguments.split()) == 0
"""


def command(file, run, *arguments):
    train = ["train", "classify", "--data", str(file), *SETTINGS, "--output", str(run)]
    return [*train, *arguments]


def start(prepare, arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", prepare + MAIN, *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def end(*processes):
    for process in processes:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors[-3000:]


def losses(run):
    (line,) = (run / "metrics.jsonl").read_text().splitlines()
    values = json.loads(line)
    assert values["step"] == 18
    return values["loss"], values["val_loss"]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def jax_devices(tmp_path_factory, few_reviews_file):
    """The losses on one of two devices, and on both."""
    folder = tmp_path_factory.mktemp("devices")
    one, two = command(few_reviews_file, folder / "one"), command(few_reviews_file, folder / "two")
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    arguments = [*one, "and", *two, "--devices", "all"]
    end(start(WITHOUT_TENSORFLOW, arguments, KERAS_BACKEND="jax", XLA_FLAGS=flags))
    return losses(folder / "one"), losses(folder / "two")


def test_two_jax_devices(jax_devices):
    one, two = jax_devices
    assert two == pytest.approx(one, abs=1e-4)


def test_two_jax_processes(jax_devices, few_reviews_file, tmp_path):
    run, address = tmp_path / "run", f"127.0.0.1:{free_port()}"
    processes = [
        start(
            WITHOUT_TENSORFLOW,
            command(few_reviews_file, run, "--coordinator", address, "--processes", "2",
                    "--process-id", str(i)),
            KERAS_BACKEND="jax",
        )
        for i in (1, 0)
    ]  # fmt: skip
    end(*processes)
    assert losses(run) == pytest.approx(jax_devices[0], abs=1e-4)
    assert (run / "evaluation.json").is_file()


def test_two_tensorflow_devices(few_reviews_file, tmp_path):
    assert main(command(few_reviews_file, tmp_path / "one")) == 0
    end(start(TWO_LOGICAL_CPUS, command(few_reviews_file, tmp_path / "two", "--devices", "2")))
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)


def test_devices_that_are_not_there_or_make_no_sense():
    for wrong, words in (
        ({"count": 0}, "Received: 0"),
        ({"processes": 2}, "coordinator=HOST:PORT"),
        ({"coordinator": "a:1"}, "processes=N"),
        ({"coordinator": "a:1", "processes": 2, "process_id": 2}, "process-id is from 0 to 1"),
        ({"coordinator": "a:1", "processes": 2}, "KERAS_BACKEND=jax"),
    ):
        with pytest.raises(UserError, match=words):
            Devices(**wrong)
    with pytest.raises(UserError, match=r"There are 1 devices .* devices=3"), Devices(3).use(6):
        pass
    with Devices(None).use(7):
        pass
