"""gRPC: kserve's service with our errors, a token, and a log of every call."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    ModelInferResponse,
    RepositoryModelLoadResponse,
)
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.servicer import InferenceServicer

from export.serving.answers import Answer, write_labels
from export.serving.data_plane import StrictDataPlane, find_by_class
from export.serving.errors import BusyError, LateError, SizeError
from export.serving.protocol import read_message
from export.serving.records import IN_FLIGHT, record
from export.serving.repository import ReloadExtension, Repository
from export.serving.settings import Settings
from export.serving.triton_messages import CLASSES
from keras_seq.errors import UserError

CODES = {
    UserError: grpc.StatusCode.INVALID_ARGUMENT,
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    SizeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
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


class Servicer(InferenceServicer):
    """kserve's service, whose inference holds no more memory than the budget has.

    Args:
        repository: The models.
    """

    def __init__(self, repository: Repository) -> None:
        super().__init__(StrictDataPlane(model_registry=repository), ReloadExtension(repository))
        self._repository = repository

    async def ModelInfer(self, request: Any, context: Any) -> ModelInferResponse:  # noqa: N802
        """Answers a request for inference."""
        model = self._data_plane.get_model_from_registry(request.model_name)
        model.refuse_if_full()
        size = request.ByteSize()
        with self._repository.budget.hold(size, "The request") as reservation:
            answer = await model.infer(read_message(request), reservation)
            sizes = sum(output.count_raw_bytes() for output in answer.outputs)
            reservation.grow(2 * sizes, "The answer")  # as a message, and as it is sent
            return await self._repository.workers.run_beside(partial(write_message, answer), sizes)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Opens a bundle again."""
        name = _read_name(request)
        await self._repository.load(name)
        return RepositoryModelLoadResponse(model_name=name, isLoaded=True)

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuses to unload a model."""
        self._repository.unload(_read_name(request))


def _read_name(request: Any) -> str:
    """Returns the name of the model that a request is about, where kserve's or Triton's client
    writes it.
    """
    written = CLASSES["RepositoryModelRequest"].FromString(request.SerializeToString())
    return written.model_name or written.repository_name


def write_message(answer: Answer) -> ModelInferResponse:
    """Returns an answer as a message of gRPC."""
    response = ModelInferResponse(id=answer.id, model_name=answer.model)
    for output in answer.outputs:
        written = response.outputs.add(
            name=output.name, datatype=output.datatype, shape=output.array.shape
        )
        for name, value in write_labels(output.labels).items():
            written.parameters[name].string_param = value
        response.raw_output_contents.append(b"".join(output.write_raw()))
    return response


# What Triton's clients may ask for and there is not here.
ABSENT = {
    "ModelConfig": "model configurations; see ModelMetadata",
    "ModelStatistics": "statistics; see GET /metrics by HTTP",
    "TraceSetting": "trace settings",
    "LogSettings": "log settings",
    "ModelStreamInfer": "streams by gRPC; see POST /openai/v1/completions by HTTP",
    **{
        f"{kind}SharedMemory{action}": "shared memory"
        for kind in ("System", "Cuda", "Tpu")
        for action in ("Status", "Register", "Unregister")
    },
}


def _make_triton_handlers(repository: Repository) -> Any:
    """Returns handlers of the methods that Triton's clients call and kserve's service lacks."""

    async def index(request: Any, context: Any) -> Any:
        models = [CLASSES["ModelIndex"](**model) for model in repository.list_models()]
        return CLASSES["RepositoryIndexResponse"](models=models)

    def handle(function: Any, request: str, response: str) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            function,
            request_deserializer=CLASSES[request].FromString,
            response_serializer=CLASSES[response].SerializeToString,
        )

    def refuse(what: str) -> Any:
        async def abort(_: Any, context: Any) -> None:
            text = f"This server has no {what}."
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

        return handle(abort, "Empty", "Empty")

    return grpc.method_handlers_generic_handler(
        "inference.GRPCInferenceService",
        {
            "RepositoryIndex": handle(index, "RepositoryIndexRequest", "RepositoryIndexResponse"),
            **{name: refuse(what) for name, what in ABSENT.items()},
        },
    )


PENDING = 20_000  # calls that have come and are not looked at yet


def _list_options(settings: Settings) -> list[tuple[str, int]]:
    """Returns gRPC's own limits: of a message, of calls at once, and of the age of a connection.

    A client whose connection has ended makes another one without being asked.
    """
    seconds = int(settings.body_timeout_s + settings.limits.deadline_s + settings.grace_s)
    return [
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # Else a second server could take half of the calls.
        ("grpc.max_metadata_size", 16_384),
        # Beyond these gRPC ends calls unheard.
        ("grpc.server.max_pending_requests", PENDING),
        ("grpc.server.max_pending_requests_hard_limit", PENDING),
        ("grpc.max_connection_idle_ms", 1000 * int(5 * settings.idle_timeout_s)),
        # So a call that is never sent to its end does not stay.
        ("grpc.max_connection_age_ms", 1000 * 10 * seconds),
        ("grpc.max_connection_age_grace_ms", 1000 * seconds),
    ]


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
        options=_list_options(settings),
        maximum_concurrent_rpcs=settings.max_connections,
    )
    server.add_generic_rpc_handlers([_make_triton_handlers(repository)])
    grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
        Servicer(repository), server
    )
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
