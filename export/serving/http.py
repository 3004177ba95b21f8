"""What stands before every HTTP request: a token, a limit of its size, a line in the log, and a
sentence for every error.
"""

import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from export.serving.batching import BusyError, LateError
from export.serving.metrics import REQUESTS
from keras_seq.errors import UserError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")  # What an orchestrator asks.
log = logging.getLogger("keras_seq.access")

STATUS = {BusyError: 503, LateError: 503, UserError: 400}


def add_handlers(app: Any) -> None:
    """Errors of ours as answers in JSON."""
    from fastapi.responses import JSONResponse

    async def answer(_: Any, error: Exception) -> JSONResponse:
        status = STATUS[type(error)]
        headers = {"Retry-After": "1"} if status == 503 else None
        return JSONResponse({"error": str(error)}, status, headers)

    for kind in STATUS:
        app.add_exception_handler(kind, answer)


class Gate:
    """ASGI middleware.

    Args:
        app: What answers.
        token: That a request has to bear; None lets all in.
        max_bytes: Of a request's body.
    """

    def __init__(self, app: Any, token: str | None, max_bytes: int) -> None:
        self._app, self._token, self._max_bytes = app, token, max_bytes

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

        try:
            refused = await self._refused(scope, receive)
            if isinstance(refused, tuple):
                await _answer(sending, *refused)
            else:
                await self._app(scope, refused, sending)
        finally:
            parts = scope["path"].split("/")
            model = parts[3] if parts[1:3] == ["v2", "models"] and len(parts) > 3 else ""
            REQUESTS.labels(model, str(status)).inc()
            # Never what was asked: texts are the users' own.
            line = {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * (time.monotonic() - start), 2),
                "client": (scope.get("client") or ("",))[0],
            }
            log.info(json.dumps(line))

    async def _refused(self, scope: Scope, receive: Receive) -> tuple[int, str] | Receive:
        """Why a request is refused, or what gives its body, which is in memory by then."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                return 401, "This server asks for a token: Authorization: Bearer TOKEN"
        limit = (
            f"A request's body has {self._max_bytes:,} bytes at most (--max-body-bytes). Send "
            "fewer rows at once."
        )
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            return 413, limit
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return receive
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
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


async def _answer(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
