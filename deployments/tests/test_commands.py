"""The commands that do what the API does: by the same functions, in a team, in the audit, with errors in a sentence."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from access.models import AuditRecord, Team
from deployments.executions.publisher import Publisher, publisher
from deployments.executions.worker import Worker
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.tests.builders import make_deployment, make_queued, make_schedule, make_version, one_agent_document
from designs.drafts import create_design
from designs.models import OrchestrationDesign
from executor.json_types import JsonObject


def run(*words: str) -> tuple[str, str]:
    """Standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refused(*words: str) -> str:
    """The sentence of a command that ends with status 1."""
    with pytest.raises(CommandError) as raised:
        run(*words)
    assert raised.value.returncode == 1
    return str(raised.value)


def make_design(name: str = "Greeter", *, team: Team | None = None, **changes: Any) -> OrchestrationDesign:
    document: JsonObject = one_agent_document(name=name) | changes
    return create_design(document=document, team_id=(team or Team.default()).pk, by="user:test")


def make_team(name: str = "other") -> Team:
    return cast(Team, Team.objects.create(name=name))


def audited(action: str) -> list[tuple[str, str, str]]:
    records = AuditRecord.objects.filter(action=action).order_by("id")
    return list(records.values_list("actor", "way", "object_label"))


@contextmanager
def running_what_is_queued(worker: Worker) -> Iterator[None]:
    """A worker that takes whatever is queued, until the block ends: what the hints of a broker do elsewhere."""
    is_over = threading.Event()

    def take() -> None:
        while not is_over.wait(0.02):
            for execution_id in list(ExecutionLog.objects.filter(status="queued").values_list("id", flat=True)):
                worker.run(execution_id, 0)
        connections.close_all()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(timeout=30)


@pytest.mark.django_db
@pytest.mark.either_database
class TestDeploy:
    def test_it_deploys_what_is_saved_and_is_in_the_audit_as_a_command(self) -> None:
        design = make_design()
        out, _ = run("deploy", "Greeter", "--path", "greet")
        assert out == "/api/deployed/greet\n"
        deployment = Deployment.objects.get()
        assert (deployment.design, deployment.created_by) == (design, "command:deploy")
        assert audited("deployment.deployed") == [("command:deploy", "command", "/api/deployed/greet")]

    def test_it_deploys_a_version_by_its_number(self) -> None:
        design = make_design()
        run("deploy", str(design.id), "--path", "one")
        OrchestrationDesign.objects.update(draft=one_agent_document(name="Changed"))
        run("deploy", str(design.id), "--path", "two")
        run("deploy", str(design.id), "--path", "three", "--version", "1")
        numbers = dict(Deployment.objects.values_list("endpoint_path", "version__number"))
        assert {path.rpartition("/")[2]: number for path, number in numbers.items()} == {"one": 1, "two": 2, "three": 1}
        assert "no version 9" in refused("deploy", str(design.id), "--path", "four", "--version", "9")

    def test_with_update_what_is_deployed_gets_another_version_and_keeps_the_rest(self) -> None:
        design = make_design()
        run("deploy", "Greeter", "--path", "greet")
        Deployment.objects.update(rate_count=5, rate_seconds=60)
        OrchestrationDesign.objects.update(draft=one_agent_document() | {"description": "Twice."})
        out, err = run("deploy", "Greeter", "--path", "greet", "--update")
        assert (out, "version 2" in err) == ("/api/deployed/greet\n", True)
        deployment = Deployment.objects.get()
        assert (deployment.version.number, deployment.rate_count) == (2, 5)
        assert audited("deployment.changed") == [("command:deploy", "command", "/api/deployed/greet")]
        run("deploy", str(design.id), "--path", "greet", "--update", "--version", "1")
        assert Deployment.objects.get().version.number == 1

    def test_update_is_for_the_design_that_is_deployed_there(self) -> None:
        make_design()
        make_design("Other")
        assert "Leave --update out" in refused("deploy", "Greeter", "--path", "greet", "--update")
        run("deploy", "Greeter", "--path", "greet")
        assert "is 'Greeter', which is another design" in refused("deploy", "Other", "--path", "greet", "--update")
        assert "say --update" in refused("deploy", "Greeter", "--path", "greet")
        assert "no version 7" in refused("deploy", "Greeter", "--path", "greet", "--update", "--version", "7")
        assert Deployment.objects.get().version.number == 1

    def test_what_cannot_be_is_said_in_a_sentence(self) -> None:
        make_design()
        make_design("Unsound", blocks=[])
        run("deploy", "Greeter", "--path", "greet")
        assert "is taken" in refused("deploy", "Greeter", "--path", "greet")
        assert "Use " in refused("deploy", "Greeter", "--path", "Gr eet")
        assert "cannot be deployed yet" in refused("deploy", "Unsound", "--path", "unsound")
        assert "'Greeter'" in refused("deploy", "Nobody", "--path", "nobody")
        assert Deployment.objects.count() == 1

    def test_where_there_are_several_teams_one_is_named(self) -> None:
        make_design()
        make_design(team=make_team())
        assert "--team: default, other" in refused("deploy", "Greeter", "--path", "greet")
        assert "no team 'nobody'" in refused("deploy", "Greeter", "--path", "greet", "--team", "nobody")
        run("deploy", "Greeter", "--path", "greet", "--team", "other")
        assert Deployment.objects.get().team.name == "other"

    def test_of_two_designs_of_one_name_the_id_says_which(self) -> None:
        first, second = make_design(), make_design()
        sentence = refused("deploy", "Greeter", "--path", "greet")
        assert str(first.id) in sentence
        assert str(second.id) in sentence


@pytest.mark.django_db(transaction=True)
class TestExecute:
    def test_it_says_the_id_and_leaves_the_rest_to_the_workers(self) -> None:
        deployment = make_deployment()
        out, err = run("execute", "greet", "--input", '{"name": "Ada"}')
        execution = ExecutionLog.objects.get()
        assert out == f"{execution.id}\n"
        assert "No worker is there" in err
        assert (execution.status, execution.deployment, execution.input_data) == ("queued", deployment, {"name": "Ada"})
        assert (execution.triggered_by, execution.trigger_type) == ("command:execute", "manual")

    def test_follow_shows_what_happens_and_then_the_output(self, worker: Worker) -> None:
        make_deployment()
        with running_what_is_queued(worker):
            out, err = run("execute", "greet", "--input", '{"name": "Ada Lovelace"}', "--follow")
        assert "Ada Lovelace" in out
        words = (str(ExecutionLog.objects.get().id), "block.started", "agent.completed", "execution.completed")
        places = [err.index(word) for word in words]
        assert places == sorted(places)

    def test_wait_as_json_is_silent_till_the_end(self, worker: Worker) -> None:
        make_deployment()
        with running_what_is_queued(worker):
            out, err = run("execute", "greet", "--wait", "--json")
        execution = ExecutionLog.objects.get()
        shown = json.loads(out)
        assert (shown["execution_id"], shown["status"]) == (str(execution.id), "completed")
        assert shown["result"] == execution.result_data["output"]
        assert "block.started" not in err

    def test_one_that_fails_ends_with_status_1_and_says_why(self, worker: Worker) -> None:
        version = make_version(one_agent_document(model="mock:gone"))
        make_deployment(version=version)
        with running_what_is_queued(worker):
            sentence = refused("execute", "greet", "--wait")
        execution = ExecutionLog.objects.get()
        assert execution.status == "failed"
        assert sentence.startswith(f"Execution {execution.id} failed ({execution.error_code}): ")

    def test_one_that_is_cancelled_is_no_success(self, worker: Worker) -> None:
        make_deployment()

        def cancel() -> None:
            while not (found := ExecutionLog.objects.values_list("id", flat=True).first()):
                time.sleep(0.02)
            run("cancel", str(found))
            connections.close_all()

        thread = threading.Thread(target=cancel)
        thread.start()
        assert "cancelled" in refused("execute", "greet", "--wait")
        thread.join(timeout=30)

    def test_a_design_runs_without_a_deployment(self) -> None:
        design = make_design()
        run("execute", "Greeter")
        execution = ExecutionLog.objects.get()
        assert (execution.deployment, execution.design) == (None, design)
        assert audited("version.made") == [("command:execute", "command", "Greeter")]

    def test_an_input_comes_from_a_file_or_standard_input(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_deployment()
        file = tmp_path / "input.json"
        file.write_text('{"from": "file"}')
        run("execute", "greet", "--input", f"@{file}")
        monkeypatch.setattr("sys.stdin", StringIO('{"from": "stdin"}'))
        run("execute", "greet", "--input", "-")
        inputs = ExecutionLog.objects.order_by("created_at").values_list("input_data", flat=True)
        assert list(inputs) == [{"from": "file"}, {"from": "stdin"}]

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ("[]", "has to hold a JSON object"),
            ("{", "is not JSON"),
            ('{"x": NaN}', "is not JSON"),
            ("@/nowhere/at-all", "cannot be read"),
            ("{}", "does not fit the design's input schema: /text"),
        ],
    )
    def test_a_wrong_input_starts_nothing(self, given: str, sentence: str) -> None:
        document = one_agent_document() | {
            "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
        }
        make_deployment(version=make_version(document))
        assert sentence in refused("execute", "greet", "--input", given)
        assert not ExecutionLog.objects.exists()

    def test_a_limit_holds_for_it(self) -> None:
        make_deployment(rate_count=1, rate_seconds=3600)
        run("execute", "greet")
        assert "Try again in" in refused("execute", "greet")
        assert ExecutionLog.objects.count() == 1

    def test_what_is_not_there_is_named(self) -> None:
        make_design()
        sentence = refused("execute", "nowhere")
        assert "Nothing is deployed at 'nowhere'" in sentence
        assert "'Greeter'" in sentence

    def test_the_hint_is_sent_before_the_command_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The thread that publishes ends with the process."""
        sent: list[str] = []
        free = threading.Event()

        def send(task: str, **_: object) -> None:
            free.wait(20)
            sent.append(task)

        monkeypatch.setattr("deployments.executions.publisher.current_app.send_task", send)
        threading.Timer(0.3, free.set).start()
        fresh = Publisher()
        monkeypatch.setattr(publisher, "publish", fresh.publish)
        monkeypatch.setattr(publisher, "wait_until_sent", fresh.wait_until_sent)
        make_deployment()
        run("execute", "greet")
        assert sent == ["deployments.run_execution"]


@pytest.mark.django_db
@pytest.mark.either_database
class TestCancel:
    def test_a_queued_one_ends_and_a_second_time_there_is_nothing_to_cancel(self) -> None:
        execution = make_queued()
        out, _ = run("cancel", str(execution.id))
        assert "is cancelled" in out
        assert ExecutionLog.objects.get().status == "cancelled"
        assert audited("execution.cancelled") == [("command:cancel", "command", "")]
        assert "has ended already: cancelled" in refused("cancel", str(execution.id))

    def test_a_running_one_is_asked_to_end(self) -> None:
        execution = make_queued()
        lease = {"lease_owner": "host-a:1:aa", "lease_expires_at": timezone.now() + timedelta(minutes=1)}
        ExecutionLog.objects.update(status="running", **lease)
        out, _ = run("cancel", str(execution.id))
        assert "was asked to end it" in out
        assert ExecutionLog.objects.get().cancel_requested_by == "command:cancel"

    def test_another_teams_is_not_there(self) -> None:
        execution = make_queued()
        make_team()
        assert "The team other has no" in refused("cancel", str(execution.id), "--team", "other")
        assert "There is no execution" in refused("cancel", str(uuid4()))
        assert "is no execution's id" in refused("cancel", "one")
        assert ExecutionLog.objects.get().status == "queued"


@pytest.mark.django_db
@pytest.mark.either_database
class TestPause:
    def test_a_schedule_is_paused_with_its_reason_and_resumed(self) -> None:
        make_schedule()
        assert "is paused." in run("pause", "greet", "--reason", "Moving")[0]
        paused = ScheduleConfig.objects.get()
        assert (paused.paused_by, paused.paused_reason, paused.next_fire_at) == ("command:pause", "Moving", None)
        assert "paused already, by command:pause" in run("pause", "greet")[0]
        assert "is resumed. Its next time is " in run("resume", "greet", "--catch-up", "none")[0]
        resumed = ScheduleConfig.objects.get()
        assert resumed.paused_at is None
        assert resumed.next_fire_at is not None
        assert "is not paused" in run("resume", "greet")[0]
        assert audited("schedule.paused") == [("command:pause", "command", "/api/deployed/greet")]
        assert audited("schedule.resumed") == [("command:resume", "command", "/api/deployed/greet")]

    def test_an_endpoint_is_set_inactive_and_active(self) -> None:
        make_deployment()
        assert "has no schedule" in refused("pause", "greet")
        assert "has no schedule" in refused("resume", "greet")
        assert "is inactive:" in run("pause", "greet", "--endpoint")[0]
        assert Deployment.objects.get().status == "inactive"
        assert "is inactive already" in run("pause", "greet", "--endpoint")[0]
        assert "is active." in run("resume", "greet", "--endpoint")[0]
        assert Deployment.objects.get().status == "active"
        assert "is active already" in run("resume", "greet", "--endpoint")[0]
        actors = [(actor, way) for actor, way, _ in audited("deployment.changed")]
        assert actors == [("command:pause", "command"), ("command:resume", "command")]

    def test_a_path_where_nothing_is_names_those_there_are(self) -> None:
        make_deployment()
        assert "There is: /api/deployed/greet" in refused("pause", "nowhere")


@pytest.mark.django_db
@pytest.mark.either_database
class TestExportAndImport:
    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        return str(tmp_path / "designs.json")

    def write(self, file: str, value: object) -> None:
        Path(file).write_text(json.dumps(value))

    def names(self, team: str = "default") -> list[str]:
        return sorted(OrchestrationDesign.objects.live().filter(team__name=team).values_list("name", flat=True))

    def test_what_one_team_exports_another_imports_and_a_second_time_nothing_changes(self, file: str) -> None:
        one, _ = make_design("One"), make_design("Two")
        make_team()
        run("export", "--team", "default", "--output", file)
        out, _ = run("import", file, "--team", "other")
        assert out.splitlines() == ["'One': created.", "'Two': created."]
        assert self.names("other") == ["One", "Two"]
        assert OrchestrationDesign.objects.get(name="One", team__name="other").draft == one.draft
        again, _ = run("import", file, "--team", "other")
        assert [line.split()[1] for line in again.splitlines()] == ["unchanged:", "unchanged:"]
        assert self.names("other") == ["One", "Two"]
        assert audited("design.exported")[0] == ("command:export", "command", "One")
        assert ("command:import", "command", "One") in audited("design.created")

    def test_named_designs_alone_go_to_standard_output(self) -> None:
        make_design("One")
        make_design("Two")
        out, err = run("export", "Two", "Two")
        assert [each["name"] for each in json.loads(out)["designs"]] == ["Two"]
        assert "1 designs" in err

    def test_one_that_differs_is_left_alone_unless_it_is_to_be_replaced(self, file: str) -> None:
        before = make_design("One")
        self.write(file, one_agent_document(name="One", model="offline:other"))
        with pytest.raises(CommandError, match="1 of 1 designs differ"):
            run("import", file)
        assert OrchestrationDesign.objects.get().draft == before.draft
        assert "replaced" in run("import", file, "--replace")[0]
        after = OrchestrationDesign.objects.get()
        assert (after.draft["blocks"][0]["data"]["agents"][0]["model"], after.revision) == ("offline:other", 2)
        assert audited("design.replaced") == [("command:import", "command", "One")]
        assert "unchanged" in run("import", file, "--replace")[0]

    def test_of_two_of_one_name_none_is_replaced(self, file: str) -> None:
        drafts = [make_design("One").draft, make_design("One").draft]
        self.write(file, one_agent_document(name="One", model="offline:other"))
        refused("import", file, "--replace")
        assert list(OrchestrationDesign.objects.values_list("draft", flat=True)) == drafts

    def test_a_file_with_a_design_that_cannot_be_read_imports_nothing(self, file: str) -> None:
        self.write(file, {"designs": [one_agent_document(name="Sound"), {"format": 1}]})
        assert "nothing was imported" in refused("import", file)
        self.write(file, {"format": 1})
        assert "holds no designs" in refused("import", file)
        assert "cannot be read" in refused("import", f"{file}.gone")
        assert self.names() == []

    def test_an_export_that_cannot_be_written_is_not_in_the_audit(self, tmp_path: Path) -> None:
        make_design("One")
        assert "cannot be written" in refused("export", "--output", str(tmp_path / "no" / "such" / "folder"))
        assert audited("design.exported") == []
