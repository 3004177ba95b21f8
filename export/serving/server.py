"""The process: bundles by HTTP and gRPC, from the first request to the last."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import uvicorn

from export.serving.http import application
from export.serving.repository import Repository
from export.serving.rpc import grpc_server
from export.serving.settings import Settings


class HttpServer(uvicorn.Server):
    """uvicorn's, which does not end the process by the signal that asked it to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops at the first SIGINT or SIGTERM, at once at the second."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve(paths: Mapping[str, Path], settings: Settings, say: Callable[[str], None]) -> None:
    """Serves bundles until the process is told to stop; what is in flight then ends first.

    Args:
        paths: The bundles by name.
        settings: Of the server.
        say: Called with what the user wants to know.

    Raises:
        UserError: If a bundle is damaged or has no ONNX files.
    """
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
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(HttpServer(config), repository, settings, say))


async def _run(
    server: HttpServer, repository: Repository, settings: Settings, say: Callable[[str], None]
) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task] = set()

    def reload() -> None:
        reloads.add(task := loop.create_task(repository.reload(say)))
        task.add_done_callback(reloads.discard)

    async with contextlib.AsyncExitStack() as stack:
        port = None
        if settings.grpc_port is not None:
            port = await stack.enter_async_context(grpc_server(repository, settings))
        loop.add_signal_handler(signal.SIGHUP, reload)
        listening = asyncio.create_task(server.serve())
        while not server.started and not listening.done():
            await asyncio.sleep(0.01)
        if server.started:
            http = server.servers[0].sockets[0].getsockname()[1]
            say(f"http://{settings.host}:{http}" + (f", gRPC on port {port}" if port else ""))
            for name, model in repository.get_models().items():
                say(f"  {name}" + (f" = {model.name}" if name != model.name else ""))
        await listening
