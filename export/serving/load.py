"""Asks a server many things at once, and measures how it answers: the client of `bench-serve`."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np

TIMEOUT_S = 120.0
CONNECTIONS = 512  # At most, at a steady rate.


@dataclass
class Figures:
    """How requests were answered.

    Attributes:
        seconds: From the first to the last.
        latencies: Seconds of each that was accepted, from the time it was due.
        statuses: How many had which status; 0 for no answer.
        wrong: Answers that were not those expected.
        refusal: What one that was not accepted was told.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    wrong: int = 0
    refusal: str = ""

    @property
    def rate(self) -> float:
        """Requests that were accepted, a second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Milliseconds in which so many percent of those accepted were answered."""
        return 1000 * float(np.percentile(self.latencies or [0.0], percent))


async def closed(
    url: str,
    bodies: Sequence[bytes],
    concurrency: int,
    seconds: float,
    is_right: Callable[[int, bytes], bool] = lambda *_: True,
    headers: Mapping[str, str] | None = None,
) -> Figures:
    """Clients that each ask again as soon as they are answered.

    Args:
        url: What to POST to.
        bodies: Of the requests, in turn; JSON.
        concurrency: Clients.
        seconds: How long.
        is_right: Whether the answer to a body, by its number, is right.
        headers: Of each request.
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


async def at_rate(
    url: str,
    bodies: Sequence[bytes],
    rate: float,
    seconds: float,
    is_right: Callable[[int, bytes], bool] = lambda *_: True,
    headers: Mapping[str, str] | None = None,
) -> Figures:
    """Requests at a steady rate of so many a second, whether those before are answered or not; all
    else as for `closed`.
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
