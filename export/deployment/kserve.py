"""A KServe service on Kubernetes: as many servers of `python -m export serve` as are needed.

FOLDER/
  inference-service.yaml
  Dockerfile, bundle/       an image with the bundle in it, unless that is in a store
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export import bundle as bundles
from export import runtime
from export.serving.settings import MB, Settings
from keras_seq import __version__
from keras_seq.errors import UserError

MOUNT = "/mnt/models"  # where KServe puts a bundle from a store
SERVER_IMAGE = f"keras-seq-serve:{__version__}"
MEMORY_MB = 384  # a process without models
USER = 1000  # the user of the Dockerfile
MORE_GRACE_S = 10  # between the end of the server's grace period and the kill

# Kubernetes scales by what a container uses, Knative by its requests.
MODES = {
    False: {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": "hpa",
    },
    True: {"serving.kserve.io/deploymentMode": "Knative"},
}

DOCKERFILE = """\
# The server, by `docker build -t {server} .` in a checkout of keras-seq, and a bundle.
ARG SERVER={server}
FROM ${{SERVER}}
COPY bundle {mount}
"""


@dataclass(frozen=True)
class Service:
    """The configuration of a service.

    Attributes:
        name: Name of the service and of its bundle: lower-case letters, digits and `-`.
        image: Image of the container.
        storage_uri: Location of the bundle (`s3://…`, `gs://…`, `pvc://…`); None: in the image.
        min_replicas: Smallest number of containers.
        max_replicas: Largest number of containers.
        scale_metric: "cpu" or "memory", in percent; with Knative also "concurrency" or "rps".
        scale_target: Value of the metric that adds a container.
        cpu: Cores of a container.
    """

    name: str
    image: str
    storage_uri: str | None = None
    min_replicas: int = 1
    max_replicas: int = 4
    scale_metric: str = "cpu"
    scale_target: int = 70
    cpu: int = 2


def write(bundle: Path, folder: Path, service: Service) -> None:
    """Writes the manifest, and the files of an image with the bundle.

    Raises:
        UserError: If the bundle is damaged or has no ONNX files, or a setting is invalid.
    """
    import yaml

    manifest = runtime.load(bundle, "onnx").manifest
    content = inference_service(service, manifest)
    text = yaml.safe_dump(content, sort_keys=False)
    (folder / "inference-service.yaml").write_text(text, "utf-8")
    if service.storage_uri is not None:
        return
    others = [v["files"] for v in manifest["variants"] if v["format"] != "onnx"]
    left_out = {file for files in others for file in files}
    for name in manifest["files"].keys() - left_out:
        bundles.copy_listed(bundle, manifest, name, folder / "bundle" / name)
    bundles.copy_manifest(bundle, folder / "bundle")
    dockerfile = DOCKERFILE.format(server=SERVER_IMAGE, mount=MOUNT)
    (folder / "Dockerfile").write_text(dockerfile, "utf-8")


def inference_service(service: Service, manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns the `InferenceService` of a bundle for Kubernetes.

    Raises:
        UserError: If Kubernetes would refuse a value.
    """
    _check(service)
    settings = Settings()
    # A session holds its weights, and copies of them packed for matrix products.
    size = bundles.find_variant(manifest, "onnx", "float32")["bytes"]
    memory = MEMORY_MB + (4 * size + settings.max_memory) // MB
    resources = {"cpu": str(service.cpu), "memory": f"{memory}M"}

    def probe(path: str) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": settings.http_port}, "periodSeconds": 5}

    container = {
        "name": "kserve-container",
        "image": service.image,
        "args": [
            *(f"{service.name}={MOUNT}", "--host", "0.0.0.0", "--no-grpc"),
            # A container sees the machine's cores, not its own.
            *("--workers", str(service.cpu), "--threads", "1"),
            *("--max-memory", str(settings.max_memory)),
        ],
        "ports": [{"containerPort": settings.http_port, "protocol": "TCP"}],
        "resources": {"requests": resources, "limits": dict(resources)},
        "readinessProbe": probe("/v2/health/ready"),
        "livenessProbe": probe("/v2/health/live"),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": USER,
        },
    }
    if service.storage_uri is not None:
        container["env"] = [{"name": "STORAGE_URI", "value": service.storage_uri}]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": service.name,
            "annotations": {
                **MODES[service.scale_metric in ("concurrency", "rps")],
                "keras-seq/bundle-sha256": manifest["sha256"],
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": service.min_replicas,
                "maxReplicas": service.max_replicas,
                "scaleMetric": service.scale_metric,
                "scaleTarget": service.scale_target,
                "terminationGracePeriodSeconds": settings.grace_s + MORE_GRACE_S,
                "containers": [container],
            }
        },
    }


def _check(service: Service) -> None:
    name = service.name
    plain = name.replace("-", "")
    # KServe requires RFC 1035 labels.
    right = plain.isascii() and plain.isalnum() and name == name.lower() and name[:1].isalpha()
    if not right or name.endswith("-") or len(name) > 50:
        raise UserError(
            "The name of a service has lower-case letters, digits and -, begins with a letter, "
            f"ends with none of -, and has 50 characters at most. Received: {name!r}. "
            "Name it: --name NAME"
        )
    if not 0 <= service.min_replicas <= service.max_replicas or service.max_replicas < 1:
        raise UserError(
            "--min-replicas is 0 or more, and --max-replicas no fewer. Received: "
            f"{service.min_replicas} and {service.max_replicas}"
        )
    for option, value in (("cpu", service.cpu), ("scale-target", service.scale_target)):
        if value < 1:
            raise UserError(f"--{option} is 1 or more. Received: {value}")
    if service.storage_uri is not None and "://" not in service.storage_uri:
        raise UserError(
            "--storage-uri is such as s3://bucket/sentiment or pvc://claim/sentiment. Received: "
            f"{service.storage_uri!r}"
        )
