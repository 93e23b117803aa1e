"""What is going on when a process of the site ends: each story leads past some of the numbered points."""

import re
import secrets
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import httpx

from executor.json_types import JsonObject
from orchestration_site.tests.crashes.plan import Point
from orchestration_site.tests.crashes.stand import Stand, eventually, repeat

#: Endpoints of every stand: of two blocks, of one, of one that runs alone, and of a version that cannot be read.
PAIR, SINGLE, LIMITED, BROKEN = "pair", "single", "limited", "broken"
ALONE: JsonObject = {"max_concurrent": 1, "when_full": "queue"}
RENEWAL = "renew"
#: What happens more often when a sweep or a second hint comes in between: only the first time is sure to come.
UNEVEN = re.compile(rf"{RENEWAL}|dispatch\._publish|commit_writes|^hint|^publish|^message|^acknowledge")
LONG_AGO = "2000-01-01 00:00:00"


@dataclass
class Call:
    """One call of an endpoint, under an idempotency key; `answer` None while nobody has answered it."""

    endpoint: str
    prefer: str = "wait=30"
    token: str = field(default_factory=lambda: f"token-{secrets.token_hex(8)}")
    answer: httpx.Response | None = None
    expected: str = "completed"
    #: Of a schedule's call nobody waits for an answer.
    is_scheduled: bool = False

    @property
    def steps(self) -> tuple[str, ...]:
        """The blocks whose agents it takes to complete it."""
        return ("first", "second") if self.endpoint == PAIR else ("first",)

    @property
    def input_data(self) -> JsonObject:
        return {"text": f"Deal with {self.token}."}

    def make(self, stand: Stand) -> None:
        headers = {"Idempotency-Key": self.token, "Prefer": self.prefer}
        path = f"/api/deployed/{self.endpoint}"
        self.answer = stand.request("POST", path, json=self.input_data, headers=headers)

    def make_until_answered(self, stand: Stand) -> None:
        repeat(lambda: self.make(stand), lambda: self.answer is not None, f"the call {self.token} is answered")


class Story:
    """Prepared while nothing is armed; then it acts, somebody ends, and what was not answered is asked again.

    `victims` are the roles that pass its points. `covers` says which of the passed operations are this story's: the
    others are another's.
    """

    name: ClassVar[str]
    victims: ClassVar[tuple[str, ...]] = ("web", "serve")
    covers: ClassVar[str]
    #: Whether the victim ends by itself when it is to end nowhere.
    ends: ClassVar[bool] = False
    #: How often a model may have been called for one step before the crash.
    calls_before: ClassVar[int] = 1

    def __init__(self, stand: Stand, victim: str) -> None:
        self.stand = stand
        self.victim = victim
        self.calls: list[Call] = []

    def prepare(self) -> None:
        """Lead up to it."""

    def act(self) -> None:
        """Do it."""
        for call in self.calls:
            call.make(self.stand)

    def recover(self) -> None:
        """Do again what was not answered, once the site is whole again."""
        for call in self.calls:
            call.make_until_answered(self.stand)

    def complaints(self) -> list[str]:
        """What is wrong with this story's own outcome."""
        return []

    @classmethod
    def is_own(cls, point: Point) -> bool:
        return re.search(cls.covers, point.operation) is not None and (
            point.nth == 1 or not UNEVEN.search(point.operation)
        )

    def start(self, *calls: Call, held: bool = False) -> None:
        """Make calls that are answered at once; with `held`, the models hang until `release`."""
        for call in calls:
            if held:
                self.stand.models.held.add(call.token)
            call.prefer = "respond-async"
            call.make_until_answered(self.stand)
        self.calls += calls

    def wait_until_running(self, *calls: Call) -> None:
        models = self.stand.models
        for call in calls:
            eventually(lambda: models.calls[call.token, "first"], f"{call.token} is with its model")  # noqa: B023 - asked here

    def release(self) -> None:
        for call in self.calls:
            self.stand.models.held.discard(call.token)

    def id_of(self, call: Call) -> str:
        return str(self.stand.books.executions_of(call.token)[0]["id"])


class WaitingCall(Story):
    """A caller waits for its result. In one process it leads past everything that an execution takes."""

    name = "call, and wait"
    covers = r"key_use|start_execution|^hint|^publish|^message|^acknowledge|commit_writes"

    def prepare(self) -> None:
        self.stand.books.run("UPDATE deployments_apikey SET last_used_at = NULL")
        self.calls = [Call(PAIR)]


class AsynchronousCall(Story):
    """A caller is answered at once."""

    name = "call, not waiting"
    covers = r"start_execution|^hint|^publish"

    def prepare(self) -> None:
        self.calls = [Call(SINGLE, "respond-async")]


class Cancelling(Story):
    """A queued execution is cancelled, and a running one."""

    name = "cancel"
    covers = r"request_cancel|finish"

    def prepare(self) -> None:
        running, queued = Call(LIMITED, expected="cancelled"), Call(LIMITED, expected="cancelled")
        self.start(running, held=True)
        self.wait_until_running(running)
        self.start(queued, held=True)
        self._left = [self.id_of(queued), self.id_of(running)]

    def act(self) -> None:
        self._left = [execution_id for execution_id in self._left if not self._cancel(execution_id)]

    def recover(self) -> None:
        repeat(self.act, lambda: not self._left, "both are cancelled")

    def _cancel(self, execution_id: str) -> bool:
        answer = self.stand.request("POST", f"/api/executions/{as_uuid(execution_id)}/cancel")
        return answer is not None and answer.status_code in (202, 409)


class CancellingWorker(Cancelling):
    """The worker ends what it was asked to cancel."""

    name = "be told to cancel"
    victims = ("worker",)
    covers = "finish"


class Undeploying(Story):
    """A deployment goes, with one execution running and one queued."""

    name = "undeploy"
    covers = r"undeploy"

    def prepare(self) -> None:
        path = f"going-{secrets.token_hex(4)}"
        self._design_id = self.stand.deployment_at(LIMITED)["design_id"]
        self._id = self._deploy(path).json()["id"]
        self.stand.insist("PUT", f"/api/deployments/{self._id}", json={"limits": ALONE})
        running, queued = Call(path), Call(path, expected="cancelled")
        self.start(running, held=True)
        self.wait_until_running(running)
        self.start(queued, held=True)
        self._path, self._is_gone = path, False

    def act(self) -> None:
        answer = self.stand.request("DELETE", f"/api/deployments/{self._id}")
        self._is_gone = answer is not None and answer.status_code in (204, 404)

    def recover(self) -> None:
        repeat(self.act, lambda: self._is_gone, "it is undeployed")
        if self.victim == "serve":  # the one that ran was lost with it, and may have been found in the queue
            self._expect_what_is_queued_to_be_cancelled()
        self.release()

    def complaints(self) -> list[str]:
        again = self._deploy(self._path)
        return [] if again.status_code == 201 else [f"its path is not free: {again.text}"]

    def _deploy(self, path: str) -> httpx.Response:
        body = {"design_id": self._design_id, "endpoint_path": path}
        return self.stand.insist("POST", "/api/deployments", json=body)

    def _expect_what_is_queued_to_be_cancelled(self) -> None:
        for call in self.calls:
            is_cancelled = self.stand.books.executions_of(call.token)[0]["status"] == "cancelled"
            call.expected = "cancelled" if is_cancelled else "completed"


class Running(Story):
    """A worker runs an execution of two blocks."""

    name = "run"
    victims = ("worker",)
    covers = r"^message|^acknowledge|commit_writes"

    def prepare(self) -> None:
        self.calls = [Call(PAIR, "respond-async")]


class Renewing(Story):
    """A worker runs something for longer than a heartbeat."""

    name = "hold a lease"
    victims = ("worker", "serve")
    covers = RENEWAL

    def prepare(self) -> None:
        self.start(Call(PAIR), held=True)

    def act(self) -> None:
        self.stand.wait_until_passed(self.victim, RENEWAL)

    def recover(self) -> None:
        self.release()


class TakingTurns(Story):
    """A deployment runs one at a time: what ends makes room for the next."""

    name = "run one at a time"
    victims = ("worker", "serve")
    covers = r"commit_writes|^hint|^publish"

    def prepare(self) -> None:
        first, second = Call(LIMITED), Call(LIMITED)
        self.start(first, held=True)
        self.wait_until_running(first)
        self.start(second)

    def act(self) -> None:
        self.release()

    def recover(self) -> None:
        """Nobody waits for an answer."""


class Draining(Story):
    """A worker is told to stop while a model answers, and gives the execution back."""

    name = "drain"
    victims = ("worker", "serve")
    covers = "release"
    ends = True

    def prepare(self) -> None:
        self.start(Call(PAIR), held=True)
        self.wait_until_running(*self.calls)

    def act(self) -> None:
        self.stand.send(self.victim, signal.SIGTERM)

    def recover(self) -> None:
        self.release()


class Sweeping(Story):
    """Four executions are found: lost, lost and to be cancelled, lost too often, too late. The first is sent again."""

    name = "sweep"
    victims = ("worker", "serve")
    covers = r"_reap_each|dispatch\._publish|^hint|^publish"
    calls_before = 2  # its leases are taken away without a crash

    def prepare(self) -> None:
        lost, unwanted, fatal = Call(SINGLE), Call(SINGLE, expected="cancelled"), Call(SINGLE, expected="failed")
        first, late = Call(LIMITED), Call(LIMITED, expected="failed")
        self.start(lost, unwanted, fatal, first, held=True)
        self.wait_until_running(lost, unwanted, fatal, first)
        self.start(late, held=True)
        self._found = [self.id_of(call) for call in (lost, unwanted, fatal, late)]

    def act(self) -> None:
        lost, unwanted, fatal, late = self._found
        gone = "UPDATE deployments_executionlog SET lease_owner = 'gone', lease_expires_at = %s"
        run = self.stand.books.run
        run(f"{gone}, cancel_requested_at = %s, cancel_requested_by = 'x' WHERE id = %s", *[LONG_AGO] * 2, unwanted)
        run(f"{gone}, losses = 2 WHERE id = %s", LONG_AGO, fatal)
        run(f"{gone} WHERE id = %s", LONG_AGO, lost)
        run("UPDATE deployments_executionlog SET deadline_at = %s WHERE id = %s", LONG_AGO, late)

    def recover(self) -> None:
        self.release()

    def complaints(self) -> list[str]:
        codes = [self.stand.books.executions_of(self.calls[position].token)[0]["error_code"] for position in (2, 4)]
        return [] if codes == ["worker_lost", "timeout"] else [f"failed with {codes}"]


class Firing(Story):
    """A schedule has one time, which comes soon."""

    name = "fire a schedule"
    victims = ("beat", "serve")
    covers = r"accept_all|^hint|^publish"

    def prepare(self) -> None:
        self._path = f"/api/deployments/{self.stand.deployment_at(SINGLE)['id']}"

    def act(self) -> None:
        self.calls = [Call(SINGLE, is_scheduled=True)]
        eventually(lambda: self._schedule(self.calls[0]) is not None, "the schedule's time is still to come")

    def recover(self) -> None:
        """Nobody waits for an answer."""

    def _schedule(self, call: Call) -> str | None:
        """When it is to run; None when the machine was so busy that its time was over before it was stored."""
        begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        end = begin + timedelta(seconds=1)
        once = {"interval_seconds": 1, "start_at": begin.isoformat(), "end_at": end.isoformat()}
        schedule = {"enabled": True, **once, "overlap": "allow", "input_data": call.input_data}
        stored = self.stand.insist("PUT", self._path, json={"schedule": schedule}).raise_for_status()
        next_run_at: str | None = stored.json()["schedule"]["next_run_at"]
        return next_run_at


class Unrunnable(Story):
    """The version cannot be read any more."""

    name = "run what cannot run"
    victims = ("worker", "serve")
    covers = "fail_queued"

    def prepare(self) -> None:
        self.calls = [Call(BROKEN, "respond-async", expected="failed")]


class Succeeding(Story):
    """The process starts after one that was killed, and takes up at once what that one ran."""

    name = "start after a crash"
    victims = ("serve",)
    covers = "end_leases_of"

    def prepare(self) -> None:
        self.start(Call(PAIR), held=True)
        self.wait_until_running(*self.calls)
        self.stand.send(self.victim, signal.SIGKILL)
        self.stand.wait_for_end(self.victim)

    def act(self) -> None:
        self.stand.start(self.victim, waits=False)

    def recover(self) -> None:
        self.release()


STORIES: tuple[type[Story], ...] = (
    WaitingCall,
    AsynchronousCall,
    Cancelling,
    CancellingWorker,
    Undeploying,
    Running,
    Renewing,
    TakingTurns,
    Draining,
    Sweeping,
    Firing,
    Unrunnable,
    Succeeding,
)


def as_uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
