"""HTTP: kserve's routes, and what stands before them: a token, a limit of the size, a record of each
request, and a sentence for every error.
"""

import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer, metrics_handler
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints

from export.serving.batching import BusyError, LateError
from export.serving.completions import register_completions
from export.serving.records import IN_FLIGHT, record
from export.serving.repository import Repository
from export.serving.settings import Settings
from keras_seq.errors import UserError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")  # What an orchestrator asks.

STATUS = {BusyError: 503, LateError: 503, UserError: 400}


def application(repository: Repository, settings: Settings) -> "Gate":
    """The ASGI application."""
    app = FastAPI(title="keras-seq", docs_url=None, redoc_url=None)
    data_plane = Reader(model_registry=repository)
    extension = ModelRepositoryExtension(model_registry=repository)
    register_v2_endpoints(app, data_plane, extension)
    app.add_api_route("/metrics", metrics_handler, methods=["GET"])
    register_completions(app, repository)
    RESTServer._add_exception_handlers(None, app)
    _add_handlers(app)
    return Gate(app, repository, settings)


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


def _add_handlers(app: FastAPI) -> None:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        status = STATUS[type(error)]
        headers = {"Retry-After": "1"} if status == 503 else None
        return JSONResponse({"error": str(error)}, status, headers)

    for kind in STATUS:
        app.add_exception_handler(kind, answer)


class Gate:
    """ASGI middleware.

    Args:
        app: What answers.
        repository: The models.
        settings: Of them the token and the size of a request's body.
    """

    def __init__(self, app: Any, repository: Repository, settings: Settings) -> None:
        self._app, self._repository, self._settings = app, repository, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start, status = time.monotonic(), 0
        parts = scope["path"].split("/")
        name = parts[3] if parts[1:3] == ["v2", "models"] and len(parts) > 3 else ""
        model = self._repository.get_model(name)

        async def sending(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with IN_FLIGHT.labels("http").track_inprogress():
                refused = await self._refused(scope, receive, model)
                if isinstance(refused, tuple):
                    await _answer(sending, *refused)
                else:
                    await self._app(scope, refused, sending)
        finally:
            client = (scope.get("client") or ("",))[0]
            # Names that nobody serves would each be a time series of their own.
            known = name if model else ""
            record("http", scope["method"], scope["path"], known, status, start, client)

    async def _refused(
        self, scope: Scope, receive: Receive, model: Any
    ) -> tuple[int, str] | Receive:
        """Why a request is refused, or what gives its body, which is in memory by then."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        token, most = self._settings.token, self._settings.max_body_bytes
        if token is not None and scope["path"] not in OPEN_PATHS:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                return 401, "This server asks for a token: Authorization: Bearer TOKEN"
        if model is not None and scope["path"].endswith("/infer"):
            # Here and not only when it is read: under overload most of the work would be reading
            # what is refused then.
            try:
                model.refuse_if_full()
            except BusyError as error:
                return 503, str(error)
        limit = (
            f"A request's body has {most:,} bytes at most (--max-body-bytes). Send fewer rows at "
            "once."
        )
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            return 413, limit
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return receive
            body += message.get("body", b"")
            if len(body) > most:
                return 413, limit
            if not message.get("more_body"):
                break
        if b"inference-header-content-length" not in headers:
            # JSON, whatever a client that does not say so calls it.
            others = [(n, v) for n, v in scope["headers"] if n.lower() != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
        given = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def again() -> dict[str, Any]:
            return given.pop() if given else await receive()

        return again


HEADERS = {401: (b"www-authenticate", b"Bearer"), 503: (b"retry-after", b"1")}


async def _answer(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status in HEADERS:
        headers.append(HEADERS[status])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
