"""HTTP connections that cannot be held without end: limits of time, size and number."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from export.serving.settings import Settings

MAX_HEAD_BYTES = 65_536
MAX_PIPELINED = 16  # requests of a connection that wait behind the one that is answered
ABORT = "keras_seq.abort"  # The extension of a request's scope that ends its connection.
# Headers of a proposal to speak HTTP/2, as some clients send with each request.
UPGRADE_HEADERS = (b"upgrade", b"http2-settings", b"connection")


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's connection, which ends one whose head is too large or too late.

    Args:
        settings: The server's.
    """

    def __init__(self, *args: Any, settings: Settings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._head_bytes: int | None = None  # None outside a head
        self._is_upgrade = self._is_in_body = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self._settings.max_connections:
            self._refuse(503, "There are too many connections (--max-connections). Ask later.")
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops to wait."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads a part of a request."""
        self._unset_keepalive_if_required()
        if self.parser is None or self.transport.is_closing():
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._read_without_upgrade(data[error.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "This is not a request of HTTP/1.1.")
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, f"The head of a request has at most {MAX_HEAD_BYTES:,} bytes.")
            elif self._timer is None:
                self._wait_for_head()

    def on_message_begin(self) -> None:
        """Begins a request; called by the parser."""
        super().on_message_begin()
        self._head_bytes = 0
        self.scope["extensions"] = {ABORT: self.transport.abort}

    def on_headers_complete(self) -> None:
        """Starts to answer a request; called by the parser."""
        self._head_bytes = None
        self._stop_waiting()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        self._is_upgrade = self.parser.should_upgrade()
        if not self._is_upgrade:
            self._is_in_body = True
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Ends a request; called by the parser."""
        if not self._is_upgrade:
            self._is_in_body = False
            self._stop_waiting()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Waits for the next request, or a while for the rest of one that was refused early."""
        super().on_response_complete()
        if self._is_in_body and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._timer = self.loop.call_later(self._settings.body_timeout_s, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Ends a connection that is not used, also where its client does not read."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(self._settings.idle_timeout_s, self.transport.abort)

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Reads a request again without its proposal of another protocol: its body counts."""
        kept = [(n, v) for n, v in self.headers if n not in UPGRADE_HEADERS]
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        head += [part for name, value in kept for part in (name, b": ", value, b"\r\n")]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _wait_for_head(self) -> None:
        said = f"A request must arrive in {self._settings.body_timeout_s:g} s (--body-timeout)."
        self._timer = self.loop.call_later(self._settings.body_timeout_s, self._refuse, 408, said)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, text: str) -> None:
        """Answers with an error, where nothing is being answered, and ends the connection."""
        self._stop_waiting()
        self._head_bytes = None
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            body = json.dumps({"error": text}).encode()
            headers = (
                b"content-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n" % len(body)
            )
            self.transport.write(STATUS_LINE[status] + headers + body)
        self.transport.close()
        self.loop.call_later(self._settings.idle_timeout_s, self.transport.abort)


def make_protocol(settings: Settings) -> Callable[..., LimitedProtocol]:
    """Returns what uvicorn calls for each connection."""
    return partial(LimitedProtocol, settings=settings)
