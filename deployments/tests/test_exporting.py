"""The history as NDJSON: whole, filtered, for whom it is, in pages, and in the audit."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import AuditRecord
from access.principal import ALL, Principal, Verb
from deployments.api import exporting
from deployments.api.executions import as_shown
from deployments.api.exporting import MOST_EXPORTS, export_pieces, may_read_as
from deployments.live import journal_pages
from deployments.models import Deployment, ExecutionLog
from deployments.tests.builders import make_deployment
from deployments.tests.site_api import History, SiteApi, expect_problem
from deployments.tests.test_history_retention import ended


def lines_of(text: str) -> list[dict[str, Any]]:
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def ids(lines: Iterable[dict[str, Any]]) -> list[str]:
    return [line["id"] for line in lines]


class TestOverRest:
    def test_it_streams_what_the_list_shows(self, api: SiteApi, history: History) -> None:
        deployed, failed, _ = history
        answer = api.http.get("/api/executions/export", params={"deployment_id": deployed.id})
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        assert 'filename="executions.ndjson"' in answer.headers["Content-Disposition"]
        assert lines_of(answer.text) == deployed.executions()
        some = api.http.get("/api/executions/export", params={"deployment_id": deployed.id, "status": "failed"})
        assert ids(lines_of(some.text)) == [failed]
        nothing = api.http.get("/api/executions/export", params={"deployment_id": deployed.id, "version": 2})
        assert (nothing.status_code, nothing.text) == (200, "")

    def test_with_payloads_a_line_is_what_the_api_says_of_one(self, api: SiteApi, history: History) -> None:
        deployed, _, completed = history
        query = {"deployment_id": deployed.id, "with_payloads": "true", "search": completed[0]}
        (line,) = lines_of(api.http.get("/api/executions/export", params=query).text)
        shown = api.http.get(f"/api/executions/{completed[0]}").json()
        assert line["events"] == shown["events"]
        assert len(line["events"]) > 3
        assert {"reruns": [], **line} == shown

    def test_others_see_nothing_of_it_and_a_wrong_filter_is_refused(self, api: SiteApi, history: History) -> None:
        expect_problem(api.other(None).http.get("/api/executions/export"), 401, "not-authenticated")
        expect_problem(api.other(api.key("execute")).http.get("/api/executions/export"), 403, "forbidden")
        other = api.deploy()
        narrowed = api.other(api.key("read", deployments=[other.id]))
        assert narrowed.http.get("/api/executions/export").text == ""
        for wrong in ({"limit": 5}, {"with_payloads": "maybe"}, {"status": "gone"}, {"days": 3}):
            expect_problem(api.http.get("/api/executions/export", params=wrong), 422, "validation-failed")

    def test_nobody_drowns_the_audit_with_it(self, api: SiteApi, history: History) -> None:
        reader = api.other(api.site.make_key("drowning", scopes=("read",)))
        path, params = "/api/executions/export", {"created_before": "2020-01-01T00:00:00Z"}
        answers = [reader.http.get(path, params=params).status_code for _ in range(MOST_EXPORTS)]
        assert set(answers) == {200}
        refused = reader.http.get(path, params=params)
        assert refused.headers["Retry-After"] == "3600"
        expect_problem(refused, 429, "export-limit")
        assert api.http.get(path, params=params).status_code == 200

    def test_it_is_in_the_audit(self, api: SiteApi, history: History) -> None:
        deployed = history[0]
        api.http.get("/api/executions/export", params={"deployment_id": deployed.id, "with_payloads": "true"})
        query = {"action": "history.exported", "object_id": deployed.id}
        record = api.http.get("/api/audit", params=query).json()["results"][0]
        assert record["details"] == {"deployment_id": deployed.id, "with_payloads": "true"}
        assert (record["object_type"], record["object_label"]) == ("deployment", deployed.path)
        api.http.get("/api/executions/export", params={"status": "cancelled"})
        whole = api.http.get("/api/audit", params={"action": "history.exported"}).json()["results"][0]
        assert (whole["details"], whole["object_type"]) == ({"status": "cancelled"}, "execution")
        assert whole["team_id"] is not None


@pytest.mark.django_db
@pytest.mark.either_database
class TestPieces:
    def test_pages_join_to_the_whole_and_none_grows_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exporting, "PAGE_ROWS", 2)
        monkeypatch.setattr(journal_pages, "PAGE_EVENTS", 3)
        deployment = make_deployment()
        made = [ended(deployment, days, events=7) for days in (1, 2, 3, 4, 5)]
        pieces = list(export_pieces(as_shown(ExecutionLog.objects.all()), with_payloads=False))
        assert [piece.count("\n") for piece in pieces] == [2, 2, 1]
        assert ids(lines_of("".join(pieces))) == [str(row.id) for row in made]
        with_payloads = list(export_pieces(as_shown(ExecutionLog.objects.all()), with_payloads=True))
        assert max(piece.count('"seq"') for piece in with_payloads) == 3
        lines = lines_of("".join(with_payloads))
        assert [[event["seq"] for event in line["events"]] for line in lines] == [[1, 2, 3, 4, 5, 6, 7]] * 5
        assert lines[0]["input_data"] == {"text": "in"}

    def test_what_goes_meanwhile_breaks_no_line(self) -> None:
        deployment = make_deployment()
        made = [ended(deployment, days) for days in (1, 2, 3)]
        pieces = export_pieces(as_shown(ExecutionLog.objects.all()), with_payloads=True)
        first = [next(pieces), next(pieces)]
        ExecutionLog.objects.filter(id__in=[made[0].id, made[1].id]).delete()
        assert ids(lines_of("".join([*first, *pieces]))) == [str(made[0].id), str(made[2].id)]

    def test_a_page_without_payloads_reads_none(self) -> None:
        ended(make_deployment(), 1)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            list(export_pieces(as_shown(ExecutionLog.objects.all()), with_payloads=False))
        assert len(queries) == 1
        assert "result_data" not in queries[0]["sql"]


def principal(rights: dict[int, frozenset[Verb]] | Any = ALL, deployment_ids: frozenset[Any] | Any = ALL) -> Principal:
    return Principal(rights, deployment_ids, "user:ann")


def test_an_export_ends_once_its_reader_may_see_less() -> None:
    view: frozenset[Verb] = frozenset({"view"})
    one = uuid4()
    may = may_read_as(principal({1: view, 2: view}))
    assert may(principal({1: view, 2: view, 3: view}))
    assert may(principal())
    assert not may(principal({1: view}))
    assert not may(principal({1: view, 2: frozenset({"execute"})}))
    assert not may(principal({1: view, 2: view}, frozenset({one})))
    assert may_read_as(principal({1: view}, frozenset({one})))(principal({1: view}))
    assert not may_read_as(principal())(principal({1: view}))


@pytest.mark.django_db
@pytest.mark.either_database
class TestCommand:
    @pytest.fixture
    def deployments(self) -> list[Deployment]:
        first = make_deployment("one")
        return [first, make_deployment("two", version=first.version)]

    def test_it_writes_what_is_asked_for(
        self, deployments: list[Deployment], capsys: pytest.CaptureFixture[str]
    ) -> None:
        old, new = ended(deployments[0], 9), ended(deployments[0], 2)
        other = ended(deployments[1], 5)
        call_command("export_history")
        told = capsys.readouterr()
        assert ids(lines_of(told.out)) == [str(new.id), str(other.id), str(old.id)]
        assert "input_data" not in told.out
        assert "3 executions exported." in told.err
        with pytest.raises(CommandError, match="nothing lies between"):
            call_command("export_history", since="2026-02-01", until="2026-01-01")
        call_command("export_history", deployment="one", since=f"{old.created_at:%Y-%m-%d}", with_payloads=True)
        lines = lines_of(capsys.readouterr().out)
        assert ids(lines) == [str(new.id), str(old.id)]
        assert [len(line["events"]) for line in lines] == [2, 2]
        call_command("export_history", deployment=str(deployments[0].id), until=new.created_at.isoformat())
        assert ids(lines_of(capsys.readouterr().out)) == [str(old.id)]
        of_one = AuditRecord.objects.filter(action="history.exported", object_id=str(deployments[0].id))
        assert (of_one.count(), of_one[0].actor) == (2, "export_history")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"deployment": "three"}, "There is no deployment 'three'. Name its path"),
            ({"since": "yesterday"}, "--from 'yesterday' is no time. Write it as"),
            ({"until": "2026-13-01"}, "--to '2026-13-01' is no time"),
        ],
    )
    def test_what_it_cannot_use_it_says(
        self, deployments: list[Deployment], options: dict[str, str], said: str
    ) -> None:
        with pytest.raises(CommandError, match=said):
            call_command("export_history", **options)
        assert not AuditRecord.objects.exists()
