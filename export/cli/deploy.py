"""`python -m export deploy`."""

import argparse
from pathlib import Path

from export import bundle
from export.deployment.kserve import Service
from export.serving.settings import Limits
from keras_seq.console import print_status
from keras_seq.errors import UserError
from keras_seq.installation import MissingPackageError

DESCRIPTION = """\
Writes the files that serve a bundle on several machines.

  python -m export deploy bundles/sentiment --target kserve --image registry.example.com/sentiment:1
      an InferenceService for KServe on Kubernetes, and a Dockerfile for its image
  python -m export deploy bundles/sentiment --target kserve --storage-uri s3://models/sentiment
      the same for the server's own image, into which KServe puts the bundle
  python -m export deploy bundles/sentiment --target triton
      a model repository for NVIDIA's Triton Inference Server, with dynamic batching
"""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    arguments = argparse.ArgumentParser(
        prog="python -m export deploy",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=DESCRIPTION,
    )
    arguments.add_argument("bundle", metavar="BUNDLE", type=Path, help="bundle with ONNX files")
    arguments.add_argument(
        "--target", choices=("kserve", "triton"), required=True, help="server to deploy to"
    )
    arguments.add_argument(
        "--output", type=Path, metavar="FOLDER", help="folder to make (default: deploy/NAME-TARGET)"
    )
    arguments.add_argument(
        "--overwrite", action="store_true", help="replace a folder that isn't empty"
    )
    arguments.add_argument("--name", help="name of the service (default: the bundle's folder)")
    kserve = arguments.add_argument_group("kserve")
    kserve.add_argument(
        "--image",
        help="container image (default: NAME:latest; with --storage-uri the server's own)",
    )
    kserve.add_argument(
        "--storage-uri", metavar="URI", help="location of the bundle (default: in the image)"
    )
    default = Service("", "")
    for name, text in (
        ("min_replicas", "smallest number of containers"),
        ("max_replicas", "largest number of containers"),
        ("cpu", "cores of each container"),
        ("scale_target", "value of the metric that adds a container; percent for cpu and memory"),
    ):
        value = getattr(default, name)
        kserve.add_argument(
            f"--{name.replace('_', '-')}",
            type=int,
            default=value,
            metavar="N",
            help=f"{text} (default: {value})",
        )
    kserve.add_argument(
        "--scale-metric",
        choices=("cpu", "memory", "concurrency", "rps"),
        default=default.scale_metric,
        help="metric that adds containers; the last two need Knative (default: cpu)",
    )
    triton = arguments.add_argument_group("triton")
    triton.add_argument(
        "--max-batch",
        type=int,
        default=Limits().max_batch,
        metavar="B",
        help=f"largest number of rows that run together (default: {Limits().max_batch})",
    )
    triton.add_argument(
        "--max-wait-ms",
        type=float,
        default=Limits().max_wait_ms,
        metavar="X",
        help="milliseconds that the first request of a batch waits (default: 0)",
    )
    return arguments


def run(arguments: argparse.Namespace) -> int:
    """Writes the folder."""
    name = arguments.name or arguments.bundle.resolve().name
    if "/" in name or not name.strip("."):
        raise UserError(f"--name is a name, not a path. Received: {name!r}")
    output = arguments.output or Path("deploy") / f"{name}-{arguments.target}"
    for option in ("max_batch", "max_wait_ms"):
        least = 1 if option == "max_batch" else 0
        if not getattr(arguments, option) >= least:
            raise UserError(
                f"--{option.replace('_', '-')} is {least} or more. Received: "
                f"{getattr(arguments, option)}"
            )
    try:
        with bundle.new_folder(output, arguments.overwrite) as folder:
            write = _kserve if arguments.target == "kserve" else _triton
            then = write(arguments, folder, name, output)
    except ModuleNotFoundError as error:
        raise MissingPackageError(error.name, "serve") from error
    print_status(f"Written to {output}. Next:\n{then}")
    return 0


def _kserve(arguments: argparse.Namespace, folder: Path, name: str, output: Path) -> str:
    from export.deployment import kserve

    image = arguments.image
    if image is None:
        image = f"{name}:latest" if arguments.storage_uri is None else kserve.SERVER_IMAGE
    service = Service(
        name=name,
        image=image,
        storage_uri=arguments.storage_uri,
        min_replicas=arguments.min_replicas,
        max_replicas=arguments.max_replicas,
        scale_metric=arguments.scale_metric,
        scale_target=arguments.scale_target,
        cpu=arguments.cpu,
    )
    kserve.write(arguments.bundle, folder, service)
    then = [f"docker build -t {kserve.SERVER_IMAGE} .    # in a checkout of keras-seq"]
    if arguments.storage_uri is None:
        then += [f"docker build -t {image} {output}", f"docker push {image}"]
    then += [f"kubectl apply -f {output / 'inference-service.yaml'}"]
    return "\n".join(f"  {line}" for line in then)


def _triton(arguments: argparse.Namespace, folder: Path, name: str, output: Path) -> str:
    from export.deployment import triton

    delay_us = round(1000 * arguments.max_wait_ms)
    models = triton.write(arguments.bundle, folder, name, arguments.max_batch, delay_us)
    return f"  tritonserver --model-repository={output}    # {', '.join(models)}"
