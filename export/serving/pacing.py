"""Spreads the work of many requests that come at once over turns of the event loop."""

import asyncio
from collections import deque

PER_TURN = 6


class Pacer:
    """Lets few requests go on in each turn of the event loop, so that others come between."""

    def __init__(self) -> None:
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Returns in this turn, or in a later one where many wait."""
        loop = asyncio.get_running_loop()
        if not self._begun:
            loop.call_soon(self._start_turn)
        self._begun += 1
        if self._begun > PER_TURN:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn

    def _start_turn(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < PER_TURN:
            turn = self._waiting.popleft()
            if not turn.done():  # Else its client has gone.
                turn.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._start_turn)
