"""Requests of a burst start one after the other, so that the first are on their way while the last are written."""

import asyncio
from collections import deque


class Turns:
    """Lets one caller through in each round of the event loop.

    aiohttp prepares a request at once but sends it in the next round. Fifty that start in one round would all be
    prepared first and then sent together, their answers would come together, and each would wait for those before it.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def take(self) -> None:
        """Return when it is this caller's turn; at once when nobody else has had it in this round."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._pass_on, loop)
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                # Its caller runs in the next round, before the turn is passed on again.
                turn.set_result(None)
                loop.call_soon(self._pass_on, loop)
                return
        self._taken = False
