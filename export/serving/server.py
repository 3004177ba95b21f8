"""The process that serves bundles by HTTP and gRPC."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

import uvicorn

from export.serving.budget import configure_malloc
from export.serving.connections import make_protocol
from export.serving.http import application
from export.serving.repository import Repository
from export.serving.rpc import grpc_server
from export.serving.settings import Settings
from keras_seq.errors import UserError

# How long another thread may keep the interpreter from the event loop. Less costs throughput.
SWITCH_SECONDS = 0.001


class HttpServer(uvicorn.Server):
    """uvicorn's server, which leaves the process alive after a signal.

    uvicorn raises the signal again once it has stopped, which would end the process before gRPC has
    finished; there is no setting for that.

    Attributes:
        stopping: Set when the server is asked to stop.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to stop."""
        self.stopping.set()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops gracefully at the first SIGINT or SIGTERM, immediately at the second."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve(paths: Mapping[str, Path], settings: Settings, say: Callable[[str], None]) -> None:
    """Serves bundles until the process is told to stop; requests in flight are answered first.

    Args:
        paths: The bundles by name.
        settings: Settings of the server.
        say: Called with lines for the user.

    Raises:
        UserError: If a bundle is damaged or has no ONNX files, or a port is taken.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    # These log tracebacks; the access log has a line for each request.
    for name in ("kserve", "uvicorn", "timing_asgi"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    configure_malloc()
    sys.setswitchinterval(SWITCH_SECONDS)
    repository = Repository(paths, settings)
    gc.collect()
    gc.freeze()  # Collections of what requests leave behind need not look at all that stays.
    repository.budget.rest()
    config = uvicorn.Config(
        application(repository, settings),
        http=make_protocol(settings),
        ws="none",
        host=settings.host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.grace_s,
    )
    with (
        _listening(settings) as listener,
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        try:
            runner.run(_run(HttpServer(config), listener, repository, settings, say))
        finally:
            repository.stop()


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.host, settings.http_port), family=family, backlog=2048
        )
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"HTTP cannot listen on {settings.host}:{settings.http_port}: {error}. Name another "
            "port with --http-port, or an address of this machine with --host."
        ) from error


async def _run(
    server: HttpServer,
    listener: socket.socket,
    repository: Repository,
    settings: Settings,
    say: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task] = set()

    def reload() -> None:
        reloads.add(task := loop.create_task(repository.reload(say)))
        task.add_done_callback(reloads.discard)

    async with contextlib.AsyncExitStack() as stack:
        port = None
        if settings.grpc_port is not None:
            port = await stack.enter_async_context(
                grpc_server(repository, settings, server.stopping)
            )
        loop.add_signal_handler(signal.SIGHUP, reload)
        tidying = asyncio.create_task(repository.budget.tidy())
        stack.callback(tidying.cancel)
        listening = asyncio.create_task(server.serve([listener]))
        while not server.started and not listening.done():
            await asyncio.sleep(0.01)
        if server.started:
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            http = listener.getsockname()[1]
            say(f"http://{host}:{http}" + (f", gRPC on port {port}" if port else ""))
            for name, model in repository.get_models().items():
                say(f"  {name}" + (f" = {model.name}" if name != model.name else ""))
        await listening
