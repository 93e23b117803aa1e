"""A thread for each request's synchronous parts, taken from those of earlier requests."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import ThreadSensitiveContext
from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

#: Threads that wait for a request. There are as many more as requests are answered at the same time.
KEPT_THREADS = 16


class RequestThreads:
    """ASGI middleware around Django, which by itself starts a thread in every request, and another to end it."""

    def __init__(self, application: ASGI3Application, *, kept: int = KEPT_THREADS) -> None:
        self._application = application
        self._kept = kept
        self._idle: deque[ThreadPoolExecutor] = deque()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="request")
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self._application(scope, receive, send)
        finally:
            self._give_back(thread)

    def _give_back(self, thread: ThreadPoolExecutor) -> None:
        """A request that broke off may have left work in its thread: the next request's is queued behind that."""
        if len(self._idle) < self._kept:
            self._idle.append(thread)
        else:
            thread.shutdown(wait=False)
