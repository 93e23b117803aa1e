"""The page of one execution and the dialog that starts one: what they read, for whom."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from deployments.executions.rerunning import rerun_execution
from deployments.executions.start import start_execution
from deployments.executions.worker import Worker
from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from deployments.pages.trace import read_trace
from deployments.tests.builders import chain_document, make_deployment, make_queued, make_version
from deployments.tests.pages.conftest import SignIn
from designs.samples import load_samples
from orchestration_site.proving.mock_provider import MockProvider, Reply

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def run_chain(worker: Worker, *, text: str = "hello", models: tuple[str, ...] = ("mock:a", "mock:b")) -> ExecutionLog:
    """An execution of two blocks, one after the other, that has ended."""
    document = chain_document(*models, tasks={"a": "Say {{input.text}}.", "b": "Say more."})
    deployment = Deployment.objects.first() or make_deployment("chain", version=make_version(document))
    started = start_execution(
        deployment=deployment,
        version=deployment.version,
        team_id=deployment.team_id,
        input_data={"text": text},
        trigger_type="manual",
        triggered_by="user:ann",
    )
    return run(worker, started.execution)


def run(worker: Worker, execution: ExecutionLog) -> ExecutionLog:
    worker.run(execution.id, 0)
    execution.refresh_from_db()
    return execution


def page_of(client: Client, execution: ExecutionLog) -> str:
    answer = client.get(f"/executions/{execution.id}")
    assert answer.status_code == 200
    return answer.content.decode()


class TestPage:
    def test_it_shows_the_whole_trace(self, reader: Client, worker: Worker, provider: MockProvider) -> None:
        page = page_of(reader, run_chain(worker))
        for part in ("Say hello.", "Mock answer to", "user:ann (manual)", "/api/deployed/chain", "mock:a", "Time line"):
            assert part in page

    def test_a_models_markup_stays_text(self, reader: Client, worker: Worker, provider: MockProvider) -> None:
        provider.script = lambda _: HOSTILE
        page = page_of(reader, run_chain(worker, text=HOSTILE))
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)" in page

    def test_a_failure_is_said_with_its_code(self, reader: Client, worker: Worker, provider: MockProvider) -> None:
        provider.script = lambda request: Reply(status=400) if request.model == "b" else None
        page = page_of(reader, run_chain(worker))
        assert "<code>provider_error</code>" in page
        assert 'value="failed"' in page

    def test_a_rerun_says_what_it_reused_and_did_not_spend(
        self, reader: Client, worker: Worker, provider: MockProvider
    ) -> None:
        provider.script = lambda request: Reply(status=400) if request.model == "b" else None
        parent = run_chain(worker)
        provider.script = None
        rerun = rerun_execution(parent_id=parent.id, start_from="failed", by="user:ann", input_data={"text": "bye"})
        page = " ".join(page_of(reader, run(worker, rerun.execution)).split())
        assert "<dt>Reused</dt> <dd>A (1 call)</dd>" in page
        assert "<dt>Ran again</dt> <dd>B</dd>" in page
        assert "<dt>Input</dt> <dd>edited</dd>" in page
        assert f'href="/executions/{parent.id}"' in page
        assert f'href="/executions/{rerun.execution.id}"' in page_of(reader, parent)
        reused = rerun.execution.events.get(seq=1).payload["reused"]["usage"]
        assert f"{reused['input_tokens'] + reused['output_tokens']} tokens, 1 call" in page

    def test_blocks_take_no_queries_of_their_own(
        self,
        reader: Client,
        worker: Worker,
        provider: MockProvider,
        django_assert_num_queries: DjangoAssertNumQueries,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        execution = run_chain(worker)
        with django_assert_max_num_queries(9) as few:
            page_of(reader, execution)
        for number in range(100):
            _event(execution, "agent.started", seq=1000 + number, payload={"phase": "turn", "round": number}).save()
        with django_assert_num_queries(len(few.captured_queries)):
            page_of(reader, execution)

    def test_who_may_only_view_is_not_offered_to_run_it_again(
        self, sign_in: SignIn, worker: Worker, provider: MockProvider
    ) -> None:
        assert "<rerun-form" not in page_of(sign_in(), run_chain(worker))

    def test_one_that_runs_is_followed(self, reader: Client) -> None:
        page = page_of(reader, make_queued())
        assert "<execution-watch" in page
        assert "cancellable" in page
        assert "<rerun-form" not in page


class TestDialog:
    def setup_of(self, client: Client, deployment: Deployment) -> dict[str, Any]:
        answer = client.get(f"/deployments/{deployment.id}/execute", headers={"HX-Request": "true"})
        assert answer.status_code == 200
        text = answer.content.decode().partition('setup="')[2].partition('"')[0]
        setup: dict[str, Any] = json.loads(unescape(text))
        return setup

    def test_the_last_inputs_are_at_hand_each_once(self, reader: Client) -> None:
        deployment = make_deployment()
        for text in ("one", "two", "two"):
            make_queued(deployment, input_data={"text": text})
        inputs = [given["value"] for given in self.setup_of(reader, deployment)["inputs"]]
        assert inputs[:2] == [{"text": "two"}, {"text": "one"}]

    def test_a_samples_inputs_are_at_hand(self, reader: Client) -> None:
        sample = load_samples()[0]
        deployment = make_deployment(version=make_version(sample.document))
        inputs = [given["value"] for given in self.setup_of(reader, deployment)["inputs"]]
        assert inputs == list(sample.inputs)

    def test_a_schema_makes_an_example(self, reader: Client) -> None:
        schema = {"type": "object", "properties": {"text": {"type": "string", "examples": ["Hi"]}}}
        document = chain_document("offline:demo", input_schema=schema)
        setup = self.setup_of(reader, make_deployment(version=make_version(document)))
        assert setup["schema"] == schema
        assert setup["inputs"] == [{"label": "Example", "value": {"text": "Hi"}}]

    def test_what_this_person_has_running_is_gone_on_with(self, reader: Client) -> None:
        deployment = make_deployment()
        execution = make_queued(deployment)
        shown = ExecutionLog.objects.filter(id=execution.id)
        for fields in (
            {"trigger_type": "manual", "triggered_by": "user:bob"},
            {"trigger_type": "api", "triggered_by": "user:ann"},
        ):
            shown.update(**fields)
            assert self.setup_of(reader, deployment)["running"] is None
        shown.update(trigger_type="manual", triggered_by="user:ann")
        assert self.setup_of(reader, deployment)["running"] == str(execution.id)

    def test_an_undeployed_deployment_has_none(self, reader: Client) -> None:
        deployment = make_deployment(deleted_at=timezone.now())
        assert reader.get(f"/deployments/{deployment.id}/execute").status_code == 404

    def test_who_may_not_execute_is_refused(self, sign_in: SignIn) -> None:
        assert sign_in().get(f"/deployments/{make_deployment().id}/execute").status_code == 403


def _event(execution: ExecutionLog, kind: str, *, seq: int, second: int = 0, **fields: Any) -> ExecutionEvent:
    at = NOON + timedelta(seconds=second)
    values = {"block_id": "a", "agent": "Worker", "payload": {}} | fields
    return ExecutionEvent(execution=execution, seq=seq, type=kind, at=at, **values)


class TestTrace:
    @pytest.fixture
    def event(self) -> Callable[..., ExecutionEvent]:
        execution = make_queued()
        return lambda kind, seq, second=0, **fields: _event(execution, kind, seq=seq, second=second, **fields)

    def test_the_critical_path_is_what_the_end_waited_for(self, event: Callable[..., ExecutionEvent]) -> None:
        def call(agent: str, begin: int, end: int, seq: int) -> list[ExecutionEvent]:
            payload = {"phase": agent, "round": 0, "repair": 0, "usage": {}, "cost": "0", "error": None}
            return [
                event("agent.started", seq, begin, agent=agent, payload=payload),
                event("agent.completed", seq + 1, end, agent=agent, payload=payload),
            ]

        events = [event("block.started", 2), *call("long", 0, 6, 3), *call("short", 0, 2, 5), *call("last", 6, 10, 7)]
        trace = read_trace(sorted(events, key=lambda one: one.at), {"a": "A"}, now=NOON)
        calls = {call.agent: call for _, call in trace.calls}
        assert {name: call.on_critical_path for name, call in calls.items()} == {
            "long": True,
            "short": False,
            "last": True,
        }
        assert (calls["last"].offset, calls["last"].width) == (60, 40)

    def test_what_an_end_cut_short_does_not_run_on(self, event: Callable[..., ExecutionEvent]) -> None:
        started = [event("block.started", 2), event("agent.started", 3, payload={"phase": "turn", "round": 0})]
        assert read_trace(started, {"a": "A"}, now=NOON).blocks["a"].state == "running"
        ended = [*started, event("execution.cancelled", 4, 1, block_id="", agent="")]
        block = read_trace(ended, {"a": "A"}, now=NOON).blocks["a"]
        assert (block.state, block.calls[0].state) == ("cancelled", "cancelled")

    def test_tries_belong_to_their_call(self, event: Callable[..., ExecutionEvent]) -> None:
        place = {"phase": "turn", "round": 0, "repair": 0}
        events = [
            event("agent.started", 2, payload=place),
            event("agent.retrying", 3, payload={"reason": "429", "try": 2}),
            event("agent.failed", 4, payload=place | {"error": "No answer.", "tries": 2}),
        ]
        call = read_trace(events, {"a": "A"}, now=NOON).blocks["a"].calls[0]
        assert (call.state, [retry["reason"] for retry in call.retries]) == ("failed", ["429"])
