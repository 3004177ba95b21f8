"""The process: bundles by HTTP and gRPC, from the first request to the last."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from fastapi import FastAPI
from kserve import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer, metrics_handler
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints

from export.serving.batching import BusyError, LateError, Limits
from export.serving.completions import register_completions
from export.serving.http import Gate, add_handlers
from export.serving.models import ServedBundle, ServedSignature
from keras_seq.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Of a server.

    Attributes:
        host: Address it listens on; this machine only unless told otherwise.
        http_port: 0 for none in use.
        grpc_port: None for no gRPC.
        workers: Calls of the runtime at once.
        threads: Threads of each; by default the cores divided among the workers.
        limits: How requests are joined, and how many wait.
        token: That every request has to bear; None lets all in.
        max_body_bytes: Of a request.
        grace_s: Seconds that requests in flight have to end, when it is told to stop.
    """

    host: str = "127.0.0.1"
    http_port: int = 8080
    grpc_port: int | None = 8081
    workers: int = 1
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    max_body_bytes: int = 16_000_000
    grace_s: int = 30

    @property
    def threads_each(self) -> int:
        """Threads of a worker."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.workers)


class Repository(ModelRepository):
    """Every signature of every bundle, by BUNDLE.SIGNATURE; BUNDLE alone is its main one."""

    def __init__(self, paths: Sequence[Path], settings: Settings) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(settings.workers, thread_name_prefix="runtime")
        self.bundles: dict[str, ServedBundle] = {}
        for path in paths:
            bundle = ServedBundle(path, settings.threads_each)
            if bundle.name in self.bundles:
                raise UserError(
                    f"Two bundles are called {bundle.name}: {self.bundles[bundle.name].path} and "
                    f"{path}. Rename one of the folders."
                )
            self.bundles[bundle.name] = bundle
            for signature in bundle.loaded.signatures:
                name = f"{bundle.name}.{signature}"
                model = ServedSignature(
                    name, bundle, signature, self._executor, settings.workers, settings.limits
                )
                self.update(model)
                if signature == bundle.main:
                    self.update(model, bundle.name)

    def reload(self, say: Callable[[str], None]) -> None:
        """Opens every bundle anew; one that is damaged stays as it was open."""
        for bundle in self.bundles.values():
            try:
                bundle.reload()
                say(f"{bundle.name} is opened anew.")
            except UserError as error:
                say(f"{bundle.name} stays as it was: {error}")

    def load(self, name: str) -> bool:
        """Opens a bundle anew, without losing a request."""
        self.bundles[name.split(".")[0]].reload()
        return True


class Reader(DataPlane):
    """kserve's data plane, in which a request that cannot be read is the client's error."""

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """The request, and the attributes of its envelope.

        Raises:
            UserError: If it is no request of the Open Inference Protocol.
        """
        try:
            return super().decode(*args, **kwargs)
        except Exception as error:
            raise UserError(
                "This is no request of the Open Inference Protocol: "
                f"{type(error).__name__}: {error}. Over HTTP, BYTES are UTF-8; gRPC takes any."
            ) from error


def application(repository: Repository, settings: Settings) -> Any:
    """The ASGI application."""
    app = FastAPI(title="keras-seq", docs_url=None, redoc_url=None)
    data_plane = Reader(model_registry=repository)
    extension = ModelRepositoryExtension(model_registry=repository)
    register_v2_endpoints(app, data_plane, extension)
    app.add_api_route("/metrics", metrics_handler, methods=["GET"])
    register_completions(app, repository)
    RESTServer._add_exception_handlers(None, app)
    add_handlers(app)
    return Gate(app, settings.token, settings.max_body_bytes)


CODES = {
    UserError: grpc.StatusCode.INVALID_ARGUMENT,
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LateError: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Errors(ExceptionToStatusInterceptor):
    """Errors of ours as those of gRPC."""

    async def handle_exception(self, ex: Exception, request: Any, context: Any, name: str) -> None:
        """Ends the call with the error's sentence."""
        if type(ex) in CODES:
            await context.abort(CODES[type(ex)], str(ex))
        await super().handle_exception(ex, request, context, name)


class Token(grpc.aio.ServerInterceptor):
    """Asks every call but those of health for a token."""

    OPEN = ("ServerLive", "ServerReady")

    def __init__(self, token: str) -> None:
        self._token = f"Bearer {token}"

        async def refuse(_: Any, context: Any) -> None:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "This server asks for a token: authorization: Bearer TOKEN",
            )

        self._refusal = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """What handles a call."""
        given = dict(details.invocation_metadata).get("authorization")
        if given == self._token or details.method.endswith(self.OPEN):
            return await continuation(details)
        return self._refusal


@contextlib.asynccontextmanager
async def grpc_server(repository: Repository, settings: Settings) -> AsyncIterator[int]:
    """The gRPC server while the `with` block runs; gives its port."""
    interceptors: list[Any] = [Errors()]
    if settings.token is not None:
        interceptors.insert(0, Token(settings.token))
    sizes = ("grpc.max_send_message_length", "grpc.max_receive_message_length")
    server = grpc.aio.server(
        interceptors=interceptors, options=[(size, settings.max_body_bytes) for size in sizes]
    )
    servicer = InferenceServicer(
        DataPlane(model_registry=repository), ModelRepositoryExtension(model_registry=repository)
    )
    grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(settings.grace_s)


class HttpServer(uvicorn.Server):
    """uvicorn's, which does not end the process by the signal that asked it to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops at the first SIGINT or SIGTERM, at once at the second."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(paths: Sequence[Path], settings: Settings, say: Callable[[str], None]) -> None:
    """Serves bundles until the process is told to stop; what is in flight then ends first."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    # These log errors with their tracebacks; the access log has a line for each request.
    for name in ("kserve", "uvicorn", "timing_asgi"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    repository = Repository(paths, settings)
    config = uvicorn.Config(
        application(repository, settings),
        host=settings.host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.grace_s,
    )
    server = HttpServer(config)
    async with contextlib.AsyncExitStack() as stack:
        port = None
        if settings.grpc_port is not None:
            port = await stack.enter_async_context(grpc_server(repository, settings))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, repository.reload, say)
        listening = asyncio.create_task(server.serve())
        while not server.started and not listening.done():
            await asyncio.sleep(0.01)
        if server.started:
            http = server.servers[0].sockets[0].getsockname()[1]
            say(f"http://{settings.host}:{http}" + (f", gRPC on port {port}" if port else ""))
            for name, model in repository.get_models().items():
                say(f"  {name}" + (f" = {model.name}" if name != model.name else ""))
        await listening
