"""What `deploy` writes for KServe is what its classes hold, and what runs."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

import export
from export.cli import main
from export.cli.serve import make_parser as make_serve_parser
from export.cli.serve import name_bundles

ROOT = Path(__file__).resolve().parents[3]


def pruned(value):
    if isinstance(value, dict):
        return {key: pruned(v) for key, v in value.items() if v is not None}
    return [pruned(v) for v in value] if isinstance(value, list) else value


# kserve and tritonclient each bring the protocol's protobuf: one process has place for one of them.
KSERVE = """
import json, sys
import kserve
from kubernetes import client

def made(kind, values):
    names = {json_name: name for name, json_name in kind.attribute_map.items()}
    return kind(**{names[key]: value for key, value in values.items()})  # An unknown key is an error.

given = json.load(sys.stdin)
service = made(kserve.V1beta1InferenceService, given)
assert service.api_version == kserve.constants.KSERVE_V1BETA1
assert service.kind == kserve.constants.KSERVE_KIND_INFERENCESERVICE
spec = made(kserve.V1beta1InferenceServiceSpec, service.spec)
predictor = made(kserve.V1beta1PredictorSpec, spec.predictor)
metadata = client.V1ObjectMeta.from_dict(service.metadata)
(container,) = map(client.V1Container.from_dict, predictor.containers)
json.dump([metadata.to_dict(serialize=True), container.to_dict(serialize=True)], sys.stdout)
"""


@pytest.mark.parametrize("uri", [None, "pvc://models/mood"])
def test_kserve_manifest_is_of_kserves_classes_and_runs(served, serving, tmp_path, uri):
    output = tmp_path / "out"
    options = ["--storage-uri", uri] if uri else ["--image", "example.com/mood:1"]
    arguments = ["deploy", str(served / "mood"), "--target", "kserve", "--output", str(output)]
    assert main([*arguments, *options, "--max-replicas", "9"]) == 0
    text = (output / "inference-service.yaml").read_text()
    assert "&" not in text  # No anchors, which some tools do not read.
    found = yaml.safe_load(text)
    python = [sys.executable, "-c", KSERVE]
    checked = subprocess.run(python, input=json.dumps(found), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    predictor = found["spec"]["predictor"]
    (container,) = predictor["containers"]
    # Kubernetes' classes know every key.
    assert list(map(pruned, json.loads(checked.stdout))) == [found["metadata"], container]
    sha256 = export.load(served / "mood", "onnx").manifest["sha256"]
    assert found["metadata"]["annotations"] == {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": "hpa",
        "keras-seq/bundle-sha256": sha256,
    }
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 9)
    environment = {one["name"]: one["value"] for one in container.get("env", ())}
    assert environment.get("STORAGE_URI") == uri
    assert container["image"] == ("keras-seq-serve:0.1.0" if uri else "example.com/mood:1")

    # What the container is told to do, done here.
    parsed = make_serve_parser().parse_args(container["args"])
    assert (parsed.host, parsed.workers, parsed.threads) == ("0.0.0.0", 2, 1)
    ((name, mount),) = name_bundles(parsed.bundles).items()
    assert str(mount) == "/mnt/models"
    assert container["readinessProbe"]["httpGet"]["port"] == parsed.http_port
    folder = served / "mood" if uri else output / "bundle"
    options = ["127.0.0.1" if one == "0.0.0.0" else one for one in container["args"][1:]]
    options.remove("--no-grpc")
    with serving(f"{name}={folder}", options=options) as server:
        for probe in ("readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert httpx.get(server.url + path).status_code == 200
        body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}
        assert httpx.post(f"{server.url}/v2/models/mood/infer", json=body).status_code == 200
    if not uri:
        lines = (output / "Dockerfile").read_text().splitlines()
        assert "COPY bundle /mnt/models" in lines
        assert "ARG SERVER=keras-seq-serve:0.1.0" in lines


def test_the_dockerfile_has_what_the_server_needs():
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    steps = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    copied = {name for step, rest in steps if step == "COPY" for name in shlex.split(rest)[:-1]}
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "keras_seq", "export"}
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M)
    assert copied == set(sent)
    assert [rest for step, rest in steps if step == "RUN"] == [
        'pip install --no-cache-dir ".[serve]"'
    ]
    entry, command = (
        json.loads(next(rest for step, rest in steps if step == name))
        for name in ("ENTRYPOINT", "CMD")
    )
    make_serve_parser().parse_args(command)
    shown = subprocess.run(
        [sys.executable, *entry[1:], "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "Open Inference Protocol" in shown.stdout or "Serves bundles" in shown.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "kserve", "--name", "Mood"], "lower-case letters"),
        (["--target", "kserve", "--name", "mood-"], "lower-case letters"),
        (["--target", "kserve", "--min-replicas", "5"], "5 and 4"),
        (["--target", "kserve", "--cpu", "0"], "--cpu is 1 or more. Received: 0"),
        (["--target", "kserve", "--storage-uri", "bucket"], "Received: 'bucket'"),
        (["--target", "triton", "--name", "../evil"], "not a path. Received: '../evil'"),
        (["--target", "triton", "--max-batch", "0"], "--max-batch is 1 or more. Received: 0"),
    ],
)
def test_refused(served, tmp_path, capsys, options, words):
    output = tmp_path / "out"
    assert main(["deploy", str(served / "mood"), "--output", str(output), *options]) == 2
    assert words in capsys.readouterr().err
    assert not output.exists()


def test_bench_serve_prints_a_row_for_each_concurrency(server, capsys):
    asked = ["bench-serve", server.url, "--model", "mood", "--seconds", "0.5"]
    assert main([*asked, "--concurrency", "1", "4"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:9].strip()]
    rows = {row[0]: row[1:] for row in rows if row[0] in "14"}
    for concurrency in ("1", "4"):
        rate, p50, p95, p99, refused = (float(x.replace(",", "")) for x in rows[concurrency])
        assert rate > 0
        assert 0 < p50 <= p95 <= p99
        assert refused == 0


@pytest.mark.parametrize(
    ("model", "words"), [("mood.classify", "takes token_ids"), ("nobody", "does not exist")]
)
def test_bench_serve_of_what_cannot_be(server, capsys, model, words):
    assert main(["bench-serve", server.url, "--model", model]) == 2
    assert words in capsys.readouterr().err


def test_bench_serve_without_a_server(capsys):
    assert main(["bench-serve", "http://127.0.0.1:9"]) == 2
    assert "python -m export serve" in capsys.readouterr().err
