"""HTTP: kserve's routes behind a token, limits of size and time, a log, and an error's sentence."""

import asyncio
import difflib
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from kserve import errors
from kserve.protocol.rest.server import metrics_handler
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from export.serving.answers import PIECE_BYTES, Answer
from export.serving.budget import Reservation
from export.serving.completions import PATH as COMPLETIONS
from export.serving.completions import register_completions
from export.serving.connections import ABORT
from export.serving.data_plane import StrictDataPlane, describe_unknown, find_by_class
from export.serving.errors import BusyError, LateError, SizeError, SlowError, TokenError
from export.serving.pacing import Pacer
from export.serving.protocol import JSON_VALUE_BYTES, count_json_values, read_json_request, refuse
from export.serving.records import IN_FLIGHT, record
from export.serving.repository import ReloadExtension, Repository
from export.serving.settings import Settings
from keras_seq.errors import UserError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")  # An orchestrator has no token.

MODEL_ROUTES = ([], ["ready"], ["infer"])  # what may follow /v2/models/NAME

JSON_LENGTH = b"inference-header-content-length"  # Where binary tensors follow the JSON of a body.
MAX_OTHER_BODY_BYTES = 65_536  # of requests that are neither inference nor a completion

STATUS = {
    UserError: 400,
    errors.InvalidInput: 400,
    TokenError: 401,
    SizeError: 413,
    SlowError: 408,
    BusyError: 503,
    LateError: 503,
    errors.ModelNotFound: 404,
}

# Extensions of the protocol that other servers have.
ABSENT = {
    "systemsharedmemory": "shared memory",
    "cudasharedmemory": "shared memory",
    "trace": "trace settings",
    "logging": "log settings",
    "config": "model configurations; see GET /v2/models/NAME",
    "stats": "statistics; see GET /metrics",
    "versions": "versions of a model: leave them out, /v2/models/NAME/infer",
}


KSERVE_HANDLERS = {
    errors.InvalidInput: errors.invalid_input_handler,
    errors.InferenceError: errors.inference_error_handler,
    errors.ModelNotReady: errors.model_not_ready_handler,
    errors.UnsupportedProtocol: errors.unsupported_protocol_error_handler,
    errors.ServerNotLive: errors.server_not_live_handler,
    errors.ServerNotReady: errors.server_not_ready_handler,
    NotImplementedError: errors.not_implemented_error_handler,
}


def application(repository: Repository, settings: Settings) -> "AdmissionMiddleware":
    """Returns the ASGI application."""
    app = FastAPI(title="keras-seq", docs_url=None, redoc_url=None, openapi_url=None)
    data_plane = StrictDataPlane(model_registry=repository)
    extension = ReloadExtension(repository)
    _register_metadata(app, data_plane)
    register_v2_endpoints(app, data_plane, extension)

    @app.post("/v2/repository/index")
    async def index(request: Request) -> list[dict[str, str]]:
        return repository.list_models()

    app.add_api_route("/metrics", metrics_handler, methods=["GET"])
    register_completions(app, repository)
    _add_handlers(app)
    return AdmissionMiddleware(app, repository, settings)


def _add_handlers(app: FastAPI) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        return _write_error(request.url.path, find_by_class(STATUS, error), str(error))

    async def unreadable(
        request: Request, error: RequestValidationError | ValidationError
    ) -> Response:
        found = error.errors()
        places = [".".join(map(str, one["loc"])) for one in found]
        parts = (f"{place}: {one['msg']}" for place, one in zip(places, found, strict=True))
        return _write_error(request.url.path, 422, "; ".join(parts), places[0])

    for kind, handler in KSERVE_HANDLERS.items():
        app.add_exception_handler(kind, handler)
    for kind in (RequestValidationError, ValidationError):
        app.add_exception_handler(kind, unreadable)

    async def misplaced(request: Request, error: HTTPException) -> Response:
        path, status = request.url.path, error.status_code
        if status not in (404, 405):
            return _write_error(path, status, str(error.detail))
        return _write_error(path, status, _describe_wrong_path(request.method, path))

    async def failed(request: Request, error: Exception) -> Response:
        return _write_error(request.url.path, 500, _describe_failure(error))

    for kind in STATUS:
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(HTTPException, misplaced)
    app.add_exception_handler(Exception, failed)


def _register_metadata(app: FastAPI, data_plane: StrictDataPlane) -> None:
    """Adds kserve's route to the metadata of a model, with the names of its classes."""

    @app.get("/v2/models/{model_name}")
    async def metadata(model_name: str) -> dict[str, Any]:
        described = await data_plane.model_metadata(model_name)
        model = data_plane.get_model_from_registry(model_name)
        return {**described, "versions": [], "parameters": model.describe_parameters()}


PATHS = {
    "/v2": "GET",
    "/v2/health/live": "GET",
    "/v2/health/ready": "GET",
    "/v2/models": "GET",
    "/v2/models/NAME": "GET",
    "/v2/models/NAME/ready": "GET",
    "/v2/models/NAME/infer": "POST",
    "/v2/repository/index": "POST",
    "/openai/v1/models": "GET",
    "/openai/v1/completions": "POST",
    "/metrics": "GET",
}
MOVED = {  # Where clients of other servers look first.
    "predict": "/v2/models/NAME/infer",
    "infer": "/v2/models/NAME/infer",
    "completions": "/openai/v1/completions",
    "models": "/v2/models",
    "health": "/v2/health/ready",
    "healthz": "/v2/health/ready",
}


def _describe_wrong_path(method: str, path: str) -> str:
    """Returns what to say about a path or method that does not exist: the likeliest right one."""
    likely = path if path in PATHS else None
    words = [word for word in re.split(r"[/:]", path) if word]
    if likely is None and words[:2] == ["v2", "models"] and len(words) == 3:
        likely = "/v2/models/NAME"
    if likely is None:
        likely = next((MOVED[word] for word in reversed(words) if word in MOVED), None)
    if likely is None:
        likely = next(iter(difflib.get_close_matches(path, PATHS, 1, 0.5)), None)
    absent = next((ABSENT[word] for word in words[1:] if word in ABSENT), None)
    if words[:1] == ["v2"] and absent:
        return f"This server has no {absent}."
    most = ", ".join(f"{PATHS[known]} {known}" for known in PATHS)
    nearest = f" Do you mean {PATHS[likely]} {likely}?" if likely else ""
    return f"There is no {method} {path[:200]}.{nearest} Here are: {most}"


def _describe_failure(error: Exception) -> str:
    logging.getLogger("keras_seq").error("A request failed", exc_info=error)
    return "The server failed at this request; its log says where."


class AdmissionMiddleware:
    """Admits requests and answers inference itself.

    A web framework's routing and its validation take longer than a small model does.

    Args:
        app: Application for all other requests.
        repository: The models.
        settings: The server's, for the token and the limits of a request.
    """

    def __init__(self, app: Any, repository: Repository, settings: Settings) -> None:
        self._app, self._repository, self._settings = app, repository, settings
        self._budget, self._workers = repository.budget, repository.workers
        self._pacer = Pacer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start, status = time.monotonic(), 0

        async def sending(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                await send(message)  # A head waits for nobody.
            else:
                await self._send(send, scope, message)

        path = scope["path"]
        parts = path.split("/")
        name = parts[3] if parts[1:3] == ["v2", "models"] and len(parts) > 3 else ""
        # Each unknown name would be a time series of its own.
        name = name if self._repository.get_model(name) else ""
        unknown = "" if name else _model_of(parts)
        infers = bool(name) and parts[4:] == ["infer"] and scope["method"] == "POST"
        try:
            with (
                IN_FLIGHT.labels("http").track_inprogress(),
                self._budget.hold(0, "The request") as reservation,
            ):
                headers = self._check_headers(scope)
                if unknown:  # Its body is not worth reading.
                    text = describe_unknown(unknown[:200], self._repository)
                    await _answer(sending, 404, _format_error(path, 404, text))
                elif infers:
                    await self._infer(name, headers, receive, sending, reservation)
                else:
                    await self._pass(scope, receive, sending, reservation)
        except tuple(STATUS) as error:
            code = find_by_class(STATUS, error)
            if not status:
                await _answer(sending, code, _format_error(path, code, str(error)))
        except Exception as error:
            if status:  # An answer has begun.
                raise
            text = _describe_failure(error)
            await _answer(sending, 500, _format_error(path, 500, text))
        finally:
            client = (scope.get("client") or ("",))[0]
            record("http", scope["method"], path, name, status, start, client)

    async def _send(self, send: Send, scope: Scope, message: dict[str, Any]) -> None:
        """Sends a part of an answer; a client that does not take it is given up."""
        try:
            async with asyncio.timeout(self._settings.idle_timeout_s):
                await send(message)
        except TimeoutError:
            scope["extensions"][ABORT]()
            raise asyncio.CancelledError from None

    async def _infer(
        self,
        name: str,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        reservation: Reservation,
    ) -> None:
        model = self._repository.models[name]
        # Before the body is read: under overload reading would be most of the work.
        model.refuse_if_full()
        body = await self._read_body(receive, reservation, self._settings.max_body_bytes)
        if body is None:
            return
        length = headers.get(JSON_LENGTH)
        if length is not None and not length.isdigit():
            raise refuse(f"Inference-Header-Content-Length is a number, not {length[:40]!r}")
        json_length = int(length) if length is not None else None
        size = len(body)
        # Reading JSON makes an object of each value.
        reservation.grow(JSON_VALUE_BYTES * count_json_values(body[:json_length]), "The request")
        read = partial(read_json_request, body, json_length)
        request = await self._workers.run_beside(read, size)
        del body, read
        answer = await _unless_gone(receive, model.infer(request, reservation))
        del request
        if answer is not None:
            await self._write(answer, send)

    async def _write(self, answer: Answer, send: Send) -> None:
        """Sends an answer, a large one piece by piece as the client takes it."""
        length, pieces = answer.write_http()
        headers = []
        content_type = b"application/json"
        if length is not None:
            headers = [(JSON_LENGTH, str(length).encode())]
            content_type = b"application/octet-stream"
        if not answer.is_large:
            await _answer(send, 200, b"".join(pieces), content_type, headers)
            return
        headers = [(b"content-type", content_type), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        write = partial(next, pieces, None)
        while piece := await self._workers.run_beside(write, PIECE_BYTES):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, reservation: Reservation
    ) -> None:
        is_completion = scope["path"] == COMPLETIONS
        largest = self._settings.max_body_bytes if is_completion else MAX_OTHER_BODY_BYTES
        body = b""
        if scope["method"] != "GET":
            body = await self._read_body(receive, reservation, largest)
        if body is None:
            return
        # It is JSON, whatever content type the client declares.
        others = [(n, v) for n, v in scope["headers"] if n.lower() != b"content-type"]
        scope["headers"] = [*others, (b"content-type", b"application/json")]
        scope["state"] = {**scope.get("state", {}), "reservation": reservation}
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> dict[str, Any]:
            return messages.pop() if messages else await receive()

        await _unless_gone(receive, self._app(scope, again, send))

    def _check_headers(self, scope: Scope) -> dict[bytes, bytes]:
        """Returns the headers of a request.

        Raises:
            TokenError: If it lacks the token.
            SizeError: If it declares a size that is too large.
        """
        headers = {name.lower(): value for name, value in scope["headers"]}
        token = self._settings.token
        if token is not None and scope["path"] not in OPEN_PATHS:
            authorization = headers.get(b"authorization", b"")
            if not hmac.compare_digest(authorization, f"Bearer {token}".encode()):
                raise TokenError("This server requires a token: Authorization: Bearer TOKEN")
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit():
            _refuse_larger(int(declared), self._settings.max_body_bytes)
        return headers

    async def _read_body(
        self, receive: Receive, reservation: Reservation, largest: int
    ) -> bytes | None:
        """Returns the body of a request; None if its client has gone.

        Raises:
            SizeError: If it is too large.
            SlowError: If it does not arrive in time.
            BusyError: If other requests hold too much.
        """
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                while True:
                    await self._pacer.wait()
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    _refuse_larger(size, largest)
                    reservation.grow(len(parts[-1]), "The request")
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise SlowError(
                f"A request must arrive in {self._settings.body_timeout_s:g} s (--body-timeout). "
                f"Received: {size:,} bytes"
            ) from None


def _refuse_larger(size: int, largest: int) -> None:
    if size > largest:
        raise SizeError(
            f"A request's body has at most {largest:,} bytes here (--max-body-bytes). Send fewer "
            "rows at once."
        )


async def _unless_gone(receive: Receive, answering: Awaitable[Any]) -> Any:
    """Returns what is awaited; None if the client goes before, which ends it."""
    task = asyncio.ensure_future(answering)
    leaving = asyncio.ensure_future(_wait_until_gone(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        leaving.cancel()


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _model_of(parts: Sequence[str]) -> str:
    """Returns the name in the path of a model; empty for other paths."""
    is_model = parts[1:3] == ["v2", "models"] and len(parts) > 3 and parts[4:] in MODEL_ROUTES
    return parts[3] if is_model else ""


OPENAI_TYPES = {401: "authentication_error", 404: "not_found_error", 503: "server_error"}


def _format_error(path: str, status: int, text: str, param: str | None = None) -> bytes:
    """Returns an error in the form of the API that the path belongs to."""
    if not path.startswith("/openai/"):
        return orjson.dumps({"error": text})
    kind = "server_error" if status >= 500 else "invalid_request_error"
    kind = OPENAI_TYPES.get(status, kind)
    error = {"message": text, "type": kind, "param": param, "code": str(status)}
    return orjson.dumps({"error": error})


def _write_error(path: str, status: int, text: str, param: str | None = None) -> Response:
    headers = {name.decode(): value.decode() for name, value in HEADERS.get(status, ())}
    content = _format_error(path, status, text, param)
    return Response(content, status, headers, media_type="application/json")


HEADERS = {
    401: [(b"www-authenticate", b"Bearer")],
    408: [(b"connection", b"close")],
    503: [(b"retry-after", b"1")],
}


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = b"application/json",
    extra: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        *HEADERS.get(status, ()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
