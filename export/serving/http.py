"""HTTP: kserve's routes behind a token, a limit of the size, a log, and an error's sentence."""

import asyncio
import difflib
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve import errors
from kserve.constants.constants import PredictorProtocol
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.server import metrics_handler
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from starlette.exceptions import HTTPException

from export.serving.batching import BusyError, LateError
from export.serving.completions import register_completions
from export.serving.data_plane import StrictDataPlane, describe_unknown, find_by_class
from export.serving.records import IN_FLIGHT, record
from export.serving.repository import ReloadExtension, Repository
from export.serving.settings import Settings
from keras_seq.errors import UserError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")  # An orchestrator has no token.

MODEL_ROUTES = ([], ["ready"], ["infer"])  # what may follow /v2/models/NAME

JSON_LENGTH = "inference-header-content-length"  # Where binary tensors follow the JSON of a body.


class TokenError(Exception):
    """A request lacks the token."""


class SizeError(Exception):
    """A request is too large."""


STATUS = {
    UserError: 400,
    errors.InvalidInput: 400,
    TokenError: 401,
    SizeError: 413,
    BusyError: 503,
    LateError: 503,
    errors.ModelNotFound: 404,
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
    app = FastAPI(title="keras-seq", docs_url=None, redoc_url=None)
    data_plane = StrictDataPlane(model_registry=repository)
    extension = ReloadExtension(repository)
    _register_metadata(app, data_plane)
    register_v2_endpoints(app, data_plane, extension)
    app.add_api_route("/metrics", metrics_handler, methods=["GET"])
    register_completions(app, repository)
    _add_handlers(app)
    return AdmissionMiddleware(app, repository, data_plane, settings)


def _add_handlers(app: FastAPI) -> None:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        status = find_by_class(STATUS, error)
        headers = {"Retry-After": "1"} if status == 503 else None
        return JSONResponse({"error": str(error)}, status, headers)

    async def unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
        parts = (f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return JSONResponse({"error": "; ".join(parts)}, 422)

    for kind, handler in KSERVE_HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(RequestValidationError, unreadable)

    async def misplaced(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code not in (404, 405):
            return JSONResponse({"error": str(error.detail)}, error.status_code)
        text = _describe_wrong_path(request.method, request.url.path)
        return JSONResponse({"error": text}, error.status_code)

    async def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": _describe_failure(error)}, 500)

    for kind in (UserError, BusyError, LateError, errors.ModelNotFound):
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
    most = ", ".join(f"{PATHS[known]} {known}" for known in PATHS)
    nearest = f" Do you mean {PATHS[likely]} {likely}?" if likely else ""
    return f"There is no {method} {path}.{nearest} Here are: {most}"


def _describe_failure(error: Exception) -> str:
    logging.getLogger("keras_seq").error("A request failed", exc_info=error)
    return "The server failed at this request; its log says where."


class AdmissionMiddleware:
    """Admits requests and answers inference itself.

    A web framework's routing and its validation take longer than a small model does.

    Args:
        app: Application for all other requests.
        repository: The models.
        data_plane: Reads requests and writes answers.
        settings: The server's, for the token and the size of a request's body.
    """

    def __init__(
        self, app: Any, repository: Repository, data_plane: DataPlane, settings: Settings
    ) -> None:
        self._app, self._repository = app, repository
        self._data_plane, self._settings = data_plane, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start, status = time.monotonic(), 0

        async def sending(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        parts = scope["path"].split("/")
        name = parts[3] if parts[1:3] == ["v2", "models"] and len(parts) > 3 else ""
        # Each unknown name would be a time series of its own.
        name = name if self._repository.get_model(name) else ""
        unknown = "" if name else _model_of(parts)
        infers = bool(name) and parts[4:] == ["infer"] and scope["method"] == "POST"
        try:
            with IN_FLIGHT.labels("http").track_inprogress():
                if unknown:  # Its body is not worth reading.
                    self._check_headers(scope)
                    text = describe_unknown(unknown, self._repository)
                    await _answer(sending, 404, _format_error(text))
                elif infers:
                    await self._infer(name, scope, receive, sending)
                else:
                    await self._pass(scope, receive, sending)
        except tuple(STATUS) as error:
            await _answer(sending, find_by_class(STATUS, error), _format_error(str(error)))
        except Exception as error:
            if status:  # An answer has begun.
                raise
            await _answer(sending, 500, _format_error(_describe_failure(error)))
        finally:
            client = (scope.get("client") or ("",))[0]
            record("http", scope["method"], scope["path"], name, status, start, client)

    async def _infer(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self._check_headers(scope)
        # Before the body is read: under overload reading would be most of the work.
        self._repository.models[name].refuse_if_full()
        body = await self._body(receive)
        if body is None:
            return
        text_headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in headers.items()
        }
        text_headers.setdefault(JSON_LENGTH, str(len(body)))
        request, _ = self._data_plane.decode(
            body, text_headers, PredictorProtocol.REST_V2.value, name
        )
        inferring = asyncio.ensure_future(self._data_plane.infer(name, request, text_headers))
        leaving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({inferring, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not inferring.done():  # Its client has gone.
                return
            response, _ = inferring.result()
        finally:
            inferring.cancel()
            leaving.cancel()
        content, extra_headers = self._data_plane.encode(name, response, text_headers, {})
        if not isinstance(content, bytes):
            await _answer(send, 200, orjson.dumps(content))
        else:
            extra = [(key.encode(), value.encode()) for key, value in extra_headers.items()]
            await _answer(send, 200, content, b"application/octet-stream", extra)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self._check_headers(scope)
        body = await self._body(receive)
        if body is None:
            return
        if JSON_LENGTH.encode() not in headers:
            # It is JSON, whatever content type the client declares.
            others = [(n, v) for n, v in scope["headers"] if n.lower() != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> dict[str, Any]:
            return messages.pop() if messages else await receive()

        await self._app(scope, again, send)

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
            self._refuse_larger(int(declared))
        return headers

    async def _body(self, receive: Receive) -> bytes | None:
        """Returns the body of a request; None if its client has gone.

        Raises:
            SizeError: If it is too large.
        """
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            self._refuse_larger(len(body))
            if not message.get("more_body"):
                return bytes(body)

    def _refuse_larger(self, size: int) -> None:
        if size > self._settings.max_body_bytes:
            raise SizeError(
                f"A request's body has at most {self._settings.max_body_bytes:,} bytes "
                "(--max-body-bytes). Send fewer rows at once."
            )


def _model_of(parts: Sequence[str]) -> str:
    """Returns the name in the path of a model; empty for other paths."""
    is_model = parts[1:3] == ["v2", "models"] and len(parts) > 3 and parts[4:] in MODEL_ROUTES
    return parts[3] if is_model else ""


def _format_error(text: str) -> bytes:
    return orjson.dumps({"error": text})


HEADERS = {401: [(b"www-authenticate", b"Bearer")], 503: [(b"retry-after", b"1")]}


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
