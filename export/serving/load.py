"""A client that sends many requests at once and measures the answers; for `bench-serve`."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np

TIMEOUT_S = 120.0
CONNECTIONS = 512  # at most, in an open loop


@dataclass
class Figures:
    """How requests were answered.

    Attributes:
        seconds: Duration of the whole run.
        latencies: Seconds of each accepted request, from the time it was due.
        statuses: Number of answers by status; 0 for no answer.
        wrong: Number of wrong answers.
        refusal: Message of a request that was refused.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    wrong: int = 0
    refusal: str = ""

    @property
    def rate(self) -> float:
        """Accepted requests per second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Returns the given percentile of the latencies of accepted requests, in ms."""
        return 1000 * float(np.percentile(self.latencies or [0.0], percent))


async def closed_loop(
    url: str,
    bodies: Sequence[bytes],
    concurrency: int,
    seconds: float,
    is_right: Callable[[int, bytes], bool] = lambda *_: True,
    headers: Mapping[str, str] | None = None,
) -> Figures:
    """Runs clients that each send the next request as soon as the last is answered.

    Args:
        url: URL to POST to.
        bodies: Bodies of the requests, in turn; JSON.
        concurrency: Number of clients.
        seconds: Duration.
        is_right: Whether the answer to a body, given by its number, is right.
        headers: Headers of each request.
    """
    figures = Figures()
    numbers = itertools.cycle(range(len(bodies)))
    start = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        while (now := time.perf_counter()) < start + seconds:
            await _ask(session, url, bodies, next(numbers), now, is_right, figures)

    async with _session(concurrency, headers) as session:
        await asyncio.gather(*(client(session) for _ in range(concurrency)))
    figures.seconds = time.perf_counter() - start
    return figures


async def open_loop(
    url: str,
    bodies: Sequence[bytes],
    rate: float,
    seconds: float,
    is_right: Callable[[int, bytes], bool] = lambda *_: True,
    headers: Mapping[str, str] | None = None,
) -> Figures:
    """Sends requests at a steady rate per second, whether earlier ones are answered or not.

    The other arguments are those of `closed_loop`.
    """
    figures = Figures()
    tasks: set[asyncio.Task] = set()
    start = time.perf_counter()
    async with _session(CONNECTIONS, headers) as session:
        for i in range(int(rate * seconds)):
            due = start + i / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            asking = _ask(session, url, bodies, i % len(bodies), due, is_right, figures)
            tasks.add(task := asyncio.create_task(asking))
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    figures.seconds = time.perf_counter() - start
    return figures


def _session(connections: int, headers: Mapping[str, str] | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        headers={"content-type": "application/json", **(headers or {})},
        timeout=aiohttp.ClientTimeout(TIMEOUT_S),
    )


async def _ask(
    session: aiohttp.ClientSession,
    url: str,
    bodies: Sequence[bytes],
    number: int,
    due: float,
    is_right: Callable[[int, bytes], bool],
    figures: Figures,
) -> None:
    try:
        async with session.post(url, data=bodies[number]) as response:
            status, answer = response.status, await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        status, answer = 0, repr(error).encode()
    figures.statuses[status] += 1
    if status == 200:
        figures.latencies.append(time.perf_counter() - due)
        figures.wrong += not is_right(number, answer)
    else:
        figures.refusal = answer.decode("utf-8", "replace")
