"""The task: an update, one HTTP call, an update, a wake-up."""

import os
import threading

import httpx
from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from bench.reference.models import Call
from bench.reference.wake_up import wake

#: The provider's server closes a connection that was idle for 5 s: one given up earlier cannot meet that moment.
_limits = httpx.Limits(max_connections=200, max_keepalive_connections=200, keepalive_expiry=2)
_client = httpx.Client(limits=_limits, timeout=60)
_lock = threading.Lock()


@shared_task(ignore_result=True)
def run(call_id: str, prompt: str) -> None:
    """Ask the provider and keep its answer."""
    call = Call.objects.filter(id=call_id)
    call.update(status="running", started_at=timezone.now())
    close_old_connections()  # no connection is held while the model answers
    body = {"model": os.environ["REFERENCE_MODEL"], "messages": [{"role": "user", "content": prompt}]}
    answer = _client.post(os.environ["PROVIDER_URL"] + "/chat/completions", json=body).json()
    text = answer["choices"][0]["message"]["content"]
    call.update(status="completed", output=text, completed_at=timezone.now())
    close_old_connections()
    wake(call_id)
