"""Workers show themselves, rest when they are asked to, and take up work again."""

import asyncio
import threading
import time
from datetime import timedelta
from io import StringIO

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from access.models import AuditRecord
from deployments.executions.presence import Seen, forget_gone, known_workers, rest_worker, resume_worker, show_worker
from deployments.executions.worker import Worker
from deployments.models import ExecutionLog, WorkerProcess
from deployments.tests.builders import make_queued
from deployments.tests.site_api import SiteApi
from deployments.tests.worker_runs import deploy, eventually, running, start
from orchestration_site.proving.mock_provider import MockProvider
from orchestration_site.proving.servers import QUEUE

pytestmark = pytest.mark.long


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat that a test can wait for."""
    quick = settings.ENVIRONMENT.model_copy(update={"heartbeat_seconds": 0.1, "private_hosts": ["127.0.0.1"]})
    monkeypatch.setattr(settings, "ENVIRONMENT", quick)


def make_worker(owner: str = "host-a:1:aa", **fields: object) -> WorkerProcess:
    show_worker(Seen(owner, timezone.now(), running=0, rests=False, loop_lag_ms=3, memory_mb=90))
    WorkerProcess.objects.filter(owner=owner).update(**fields)
    return WorkerProcess.objects.get(owner=owner)


def list_of_command(*words: str) -> str:
    written = StringIO()
    call_command("workers", *words, stdout=written)
    return written.getvalue()


@pytest.mark.django_db(transaction=True)
class TestWorker:
    @pytest.fixture(autouse=True)
    def here(self, often: None, provider: MockProvider, worker: Worker) -> None:
        eventually(WorkerProcess.objects.exists)
        self.worker, self.provider = worker, provider
        self.row = WorkerProcess.objects.get()

    def test_it_shows_itself_from_its_start_on(self) -> None:
        assert self.row.owner == self.worker.owner
        assert self.row.release == settings.RELEASE
        assert self.row.capacity == settings.ENVIRONMENT.max_concurrent_executions
        assert self.row.memory_mb > 20
        assert known_workers() == [(self.row, "working")]
        first = self.row.seen_at
        eventually(lambda: WorkerProcess.objects.get().seen_at > first)

    def test_one_that_is_drained_takes_nothing_until_it_is_resumed(self) -> None:
        told: list[bool] = []
        self.worker.on_rest.append(told.append)
        rest_worker(worker=self.row, by="user:ann")
        eventually(lambda: told == [True])
        execution = make_queued(deploy())
        self.worker.run(execution.id, 0)
        assert ExecutionLog.objects.get().status == "queued"
        assert known_workers() == [(self.row, "drained")]
        resume_worker(worker=self.row, by="user:ann")
        eventually(lambda: told == [True, False])
        self.worker.run(execution.id, 0)
        assert ExecutionLog.objects.get().status == "completed"

    def test_what_runs_goes_on_to_its_end(self) -> None:
        gate = threading.Event()

        async def wait_at_gate(request: object) -> None:
            await asyncio.to_thread(gate.wait, 20)

        self.provider.script = wait_at_gate
        execution = start(deploy("mock:any")).execution
        with running(self.worker, execution):
            eventually(lambda: self.provider.counters.in_flight == 1)
            rest_worker(worker=self.row, by="user:ann")
            eventually(lambda: self.worker._rests)
            eventually(lambda: known_workers() == [(self.row, "draining")])
            gate.set()
        assert ExecutionLog.objects.get().status == "completed"
        eventually(lambda: known_workers() == [(self.row, "drained")])

    def test_while_it_rests_it_publishes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where all rest, messages would pile up that nobody takes."""
        asked: list[int] = []
        monkeypatch.setattr("deployments.executions.worker.dispatch_due", asked.append)
        eventually(lambda: bool(asked) and asked[-1] > 0)
        rest_worker(worker=self.row, by="user:ann")
        eventually(lambda: asked[-1] == 0)

    def test_one_that_ends_says_so(self) -> None:
        self.worker.drain(0)
        assert known_workers() == [(self.row, "stopped")]


def test_a_site_whose_workers_are_all_drained_keeps_what_it_accepts(api: SiteApi) -> None:
    """The queue is left alone: nothing that is accepted meanwhile waits in a worker that does not want it."""
    deployed = api.deploy()
    api.site.run_manage("workers", "--drain", "all")
    try:
        eventually(lambda: {line.split()[1] for line in api.site.run_manage("workers").splitlines()[1:]} == {"drained"})
        accepted = deployed.call({"text": "Hello."}, Prefer="respond-async")
        assert accepted.status_code == 202
        execution = accepted.json()["execution_id"]
        time.sleep(1)  # in which a worker that took it would long have run it
        assert api.http.get(f"/api/executions/{execution}").json()["status"] == "queued"
        if (broker := api.site.env.get("BROKER_URL")) is not None:
            with redis.Redis.from_url(broker) as client:
                assert client.llen(QUEUE) == 1
    finally:
        api.site.run_manage("workers", "--resume", "all")
    assert api.wait_for_end(execution)["status"] == "completed"


@pytest.mark.django_db
class TestRows:
    def test_one_that_nobody_has_seen_for_a_lease_is_lost_and_is_forgotten_after_a_day(self) -> None:
        worker = make_worker()
        lease = timedelta(seconds=settings.ENVIRONMENT.lease_seconds)
        make_worker(seen_at=timezone.now() - lease - timedelta(seconds=5))
        assert known_workers() == [(worker, "lost")]
        assert forget_gone() == 0
        make_worker(seen_at=timezone.now() - timedelta(days=1, minutes=1))
        make_worker("host-b:2:bb")
        assert [each.owner for each, _ in known_workers()] == ["host-b:2:bb"], "a new one forgets those long gone"

    def test_asking_twice_is_one_record_of_the_audit(self) -> None:
        worker = make_worker()
        assert rest_worker(worker=worker, by="user:ann")
        assert not rest_worker(worker=worker, by="user:bob")
        assert resume_worker(worker=worker, by="user:bob")
        assert not resume_worker(worker=worker, by="user:bob")
        records = AuditRecord.objects.order_by("id").values_list("action", "actor", "object_type", "object_label")
        assert list(records) == [
            ("worker.drained", "user:ann", "worker", worker.owner),
            ("worker.resumed", "user:bob", "worker", worker.owner),
        ]


@pytest.mark.django_db
class TestCommand:
    def test_it_lists_them(self) -> None:
        assert "No worker has been seen for a day" in list_of_command()
        make_worker(running=7)
        head, line = list_of_command().splitlines()
        assert head.split()[:4] == ["name", "state", "runs", "lag"]
        assert line.split()[:5] == ["host-a:1:aa", "working", "7", "of", "100"]

    def test_it_drains_and_resumes_those_whose_names_begin_so(self) -> None:
        make_worker()
        make_worker("host-b:2:bb")
        make_worker("host-c:3:cc", stopped_at=timezone.now())
        assert "1 asked to drain" in list_of_command("--drain", "host-a")
        assert [state for _, state in known_workers()] == ["draining", "working", "stopped"]
        assert "1 asked to drain" in list_of_command("--drain", "all"), "the other one was asked already"
        assert "2 asked to take executions" in list_of_command("--resume", "all")
        assert AuditRecord.objects.filter(actor="workers").count() == 4

    def test_a_name_that_none_has_is_an_error_that_names_those_there_are(self) -> None:
        make_worker()
        with pytest.raises(CommandError, match="There are: host-a:1:aa"):
            list_of_command("--drain", "host-x")


@pytest.mark.django_db
class TestPage:
    ADDRESS = "/admin/deployments/workerprocess/"

    def act(self, client: Client, action: str, *workers: WorkerProcess) -> str:
        body = {"action": action, "_selected_action": [str(each.id) for each in workers]}
        return client.post(self.ADDRESS, body, follow=True).content.decode()

    def test_superusers_see_drain_and_resume_them(self, admin_client: Client) -> None:
        worker, gone = make_worker(running=2), make_worker("host-b:2:bb", stopped_at=timezone.now())
        execution = make_queued()
        ExecutionLog.objects.filter(id=execution.id).update(
            status="running", lease_owner=worker.owner, lease_expires_at=timezone.now()
        )
        listed = admin_client.get(self.ADDRESS).content.decode()
        assert "2 of 100" in listed
        assert "just now" in listed
        assert "3 ms" in listed
        assert str(execution.id) in admin_client.get(f"{self.ADDRESS}{worker.id}/change/").content.decode()
        said = self.act(admin_client, "drain", worker, gone)
        assert "1 asked to drain" in said
        assert "1 left alone: no process is there any more." in said
        assert dict(known_workers())[worker] == "draining"
        assert "No worker takes executions now" in said
        assert "1 asked to take executions again" in self.act(admin_client, "resume_workers", worker)
        assert AuditRecord.objects.filter(actor="user:admin", object_type="worker").count() == 2

    def test_others_of_the_staff_do_not(self, client: Client) -> None:
        worker = make_worker()
        client.force_login(User.objects.create_user("staff", is_staff=True))
        assert client.get(self.ADDRESS).status_code == 403
        self.act(client, "drain", worker)
        assert known_workers() == [(worker, "working")]
