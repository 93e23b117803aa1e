"""The endpoint: insert, publish, wait without a thread, answer."""

import asyncio
import uuid
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.reference.models import Call
from bench.reference.tasks import run
from bench.reference.wake_up import Waiters


class CallView(APIView):
    """POST `{"text": …}`."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        accept = super().as_view(**initkwargs)

        async def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response = await sync_to_async(accept, thread_sensitive=True)(request, *args, **kwargs)
            await _wait(response.data)
            return response

        view.csrf_exempt = True  # type: ignore[attr-defined]
        return view

    def post(self, request: Request) -> Response:
        body: dict[str, str] = dict(request.data)
        call = Call.objects.create(id=uuid.uuid4(), status="queued", input_data=body)
        connections.close_all()
        return Response({"id": str(call.id), "prompt": body["text"]})


async def _wait(data: dict[str, Any]) -> None:
    ended = await _waiters.listen(data["id"])
    await sync_to_async(run.delay, thread_sensitive=False)(data["id"], data.pop("prompt"))
    async with asyncio.timeout(20):
        await ended.wait()
    _waiters.leave(data["id"])
    data["output"] = await sync_to_async(_output, thread_sensitive=True)(data["id"])


def _output(call_id: str) -> str:
    output: str = Call.objects.values_list("output", flat=True).get(id=call_id)
    connections.close_all()
    return output


_waiters = Waiters()
