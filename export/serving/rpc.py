"""gRPC: kserve's service with our errors, a token, and a log of every call."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.servicer import InferenceServicer

from export.serving.batching import BusyError, LateError
from export.serving.data_plane import StrictDataPlane, find_by_class
from export.serving.records import IN_FLIGHT, record
from export.serving.repository import ReloadExtension, Repository
from export.serving.settings import Settings
from keras_seq.errors import UserError

CODES = {
    UserError: grpc.StatusCode.INVALID_ARGUMENT,
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LateError: grpc.StatusCode.DEADLINE_EXCEEDED,
}


# By number, too: so gRPC reports the code of a call that was aborted.
CODE_NAMES = {key: code.name for code in grpc.StatusCode for key in (code, code.value[0])}


class ErrorInterceptor(ExceptionToStatusInterceptor):
    """Records each call, and ends a failed one with the sentence of its error.

    Args:
        repository: The models.
    """

    def __init__(self, repository: Repository) -> None:
        super().__init__()
        self._repository = repository

    async def intercept(self, method: Any, request: Any, context: Any, name: str) -> Any:
        """Answers one call."""
        start, status = time.monotonic(), "OK"
        try:
            with IN_FLIGHT.labels("grpc").track_inprogress():
                return await super().intercept(method, request, context, name)
        except BaseException:
            # None where the client has gone.
            code = context.code()
            status = "CANCELLED" if not code else CODE_NAMES.get(code, str(code))
            raise
        finally:
            asked = getattr(request, "model_name", "")
            model = asked if self._repository.get_model(asked) else ""
            record("grpc", "", name, model, status, start, context.peer())

    async def handle_exception(self, ex: Exception, request: Any, context: Any, name: str) -> None:
        """Ends the call with the error's sentence."""
        if isinstance(ex, tuple(CODES)):
            await context.abort(find_by_class(CODES, ex), str(ex))
        await super().handle_exception(ex, request, context, name)


class BearerTokenInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without the token, except for health."""

    OPEN = ("ServerLive", "ServerReady")

    def __init__(self, token: str) -> None:
        self._token = f"Bearer {token}"

        async def refuse(_: Any, context: Any) -> None:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "This server requires a token: authorization: Bearer TOKEN",
            )

        self._refusal = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Returns the handler of a call."""
        authorization = dict(details.invocation_metadata).get("authorization")
        if authorization == self._token or details.method.endswith(self.OPEN):
            return await continuation(details)
        return self._refusal


@contextlib.asynccontextmanager
async def grpc_server(
    repository: Repository, settings: Settings, stopping: asyncio.Event
) -> AsyncIterator[int]:
    """Runs the gRPC server inside the `with` block; gives its port.

    Once `stopping` is set, it accepts no more calls and finishes those that it has.
    """
    interceptors: list[Any] = [ErrorInterceptor(repository)]
    if settings.token is not None:
        interceptors.insert(0, BearerTokenInterceptor(settings.token))
    server = grpc.aio.server(
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # Else a second server could take half of the calls.
        ],
    )
    servicer = InferenceServicer(
        StrictDataPlane(model_registry=repository), ReloadExtension(repository)
    )
    grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise UserError(
            f"gRPC cannot listen on {host}:{settings.grpc_port}: is the port taken? Name another "
            "with --grpc-port, or none: --no-grpc"
        ) from error
    await server.start()

    async def stop() -> None:
        await stopping.wait()
        await server.stop(settings.grace_s)

    stopped = asyncio.create_task(stop())
    try:
        yield port
    finally:
        stopping.set()
        await stopped
