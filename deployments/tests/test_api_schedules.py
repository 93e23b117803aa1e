"""Schedules over REST, over a socket: previews, words, refusals, pausing, resuming and running now."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.tests.site_api import NOBODY, Deployed, SiteApi, expect_problem, json_body, pointers

#: What cannot be a schedule: the fields, where it is wrong, and what the sentence says of it and of what to do.
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"cron_expression": "0 0 9 * * 1-5"}, "/cron_expression", "6 fields: seconds .* Write minute.*interval_seconds"),
    ({"cron_expression": "0 9 * * 1-5 2030"}, "/cron_expression", "6 fields.*years.*'0 9 \\* \\* 1-5'"),
    ({"cron_expression": "0 0 9 * * 1-5 2030"}, "/cron_expression", "7 fields"),
    ({"cron_expression": "0 9 * *"}, "/cron_expression", "five fields, and not 4.*'0 9 \\* \\* 1-5'"),
    ({"cron_expression": ""}, "/cron_expression", "is empty.*'0 9 \\* \\* 1-5'"),
    ({"cron_expression": " \t\n"}, "/cron_expression", "is empty"),
    ({"cron_expression": "@reboot"}, "/cron_expression", "not known.*@daily"),
    ({"cron_expression": "0 0 31 2 *"}, "/cron_expression", "never comes.*29 days.*up to 29"),
    ({"cron_expression": "0 0 31 4,6,9,11 *"}, "/cron_expression", "never comes.*30 days"),
    ({"cron_expression": "0 0 L * *"}, "/cron_expression", "'L' in the day of month is not supported.*1 to 31"),
    ({"cron_expression": "0 0 15W * *"}, "/cron_expression", "'15W'.*not supported.*day_match"),
    ({"cron_expression": "0 9 * * 5#2"}, "/cron_expression", "'5#2'.*not supported.*8-14.*day_match 'and'"),
    ({"cron_expression": "0 9 * * FRIL"}, "/cron_expression", "'FRIL'.*not supported"),
    ({"cron_expression": "0 9 ? * 1"}, "/cron_expression", "not supported.*Write \\*"),
    ({"cron_expression": "H 9 * * 1"}, "/cron_expression", "'H' in the minute is not supported.*0 to 59"),
    ({"cron_expression": "\uff10 9 * * *"}, "/cron_expression", "'\uff10' is no minute.*0 to 59"),  # full width
    ({"cron_expression": "\u0663 9 * * *"}, "/cron_expression", "is no minute"),
    ({"cron_expression": "*/0 * * * *"}, "/cron_expression", "step of '\\*/0'.*from 1.*\\*/5"),
    ({"cron_expression": "60 * * * *"}, "/cron_expression", "'60' is no minute: it is from 0 to 59"),
    ({"cron_expression": "0 24 * * *"}, "/cron_expression", "'24' is no hour: it is from 0 to 23"),
    ({"cron_expression": "0 9 WED * *"}, "/cron_expression", "'WED' is no day of month.*1 to 31"),
    ({"cron_expression": "0 9 * * MONDAY"}, "/cron_expression", "'MONDAY' is no day of week.*names from SUN to SAT"),
    ({"cron_expression": f"{'9' * 100} 9 * * *"}, "/cron_expression", "'9+…' is no minute"),
    ({"cron_expression": ",".join("0" * 500) + " 9 * * *"}, "/cron_expression", "longer than 200 characters"),
    ({"cron_expression": 5}, "/cron_expression", "'0 9 \\* \\* 1-5'"),
    ({"cron_expression": "0 9 1 * 1"}, "/day_match", "'and'.*'or'"),
    ({"cron_expression": "0 9 1 * 1", "day_match": "both"}, "/day_match", "both is no choice.*'and'.*'or'"),
    ({"cron_expression": "0 9 * * *", "timezone": "Europe/Berlim"}, "/timezone", "Did you mean Europe/Berlin"),
    ({"cron_expression": "0 9 * * *", "timezone": ""}, "/timezone", "IANA"),
    ({"cron_expression": "0 9 * * *", "timezone": "localtime"}, "/timezone", "no time zone 'localtime'"),
    ({"cron_expression": "0 9 * * *", "timezone": None}, "/timezone", "IANA name.*UTC"),
    ({"cron_expression": "0 9 * * *", "timezone": "x" * 65}, "/timezone", "64 characters"),
    ({"interval_seconds": 0}, "/interval_seconds", "at least one second"),
    ({"interval_seconds": -5}, "/interval_seconds", "at least one second"),
    ({"interval_seconds": 1.5}, "/interval_seconds", "whole number of seconds"),
    ({"interval_seconds": "soon"}, "/interval_seconds", "whole number of seconds"),
    ({"interval_seconds": 10**9}, "/interval_seconds", "at most 31622400 seconds.*cron_expression"),
    ({"interval_seconds": 60, "cron_expression": "0 9 * * *"}, "/interval_seconds", "not both.*null"),
    ({"interval_seconds": 60, "end_at": "2001-01-01T00:00:00Z"}, "/end_at", "in the past"),
    (
        {"interval_seconds": 60, "start_at": "2050-01-01T00:00:00Z", "end_at": "2049-01-01T00:00:00Z"},
        "/end_at",
        "after start_at",
    ),
    (
        {"cron_expression": "0 0 29 2 *", "start_at": "2045-01-01T00:00:00Z", "end_at": "2046-01-01T00:00:00Z"},
        "/end_at",
        "never run",
    ),
    ({"cron_expression": "0 0 * * *", "start_at": "9999-12-31T00:00:00Z"}, "/start_at", "never run"),
    ({"interval_seconds": 60, "start_at": "tomorrow"}, "/start_at", "YYYY-MM-DD"),
    ({"interval_seconds": 60, "jitter_seconds": -1}, "/jitter_seconds", "0"),
]


def preview(api: SiteApi, **body: Any) -> Any:
    answer = api.http.post("/api/schedules/preview", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def scheduled(api: SiteApi) -> Deployed:
    """A deployment that runs at New Year."""
    deployed = api.deploy()
    deployed.change(schedule={"cron_expression": "0 0 1 1 *", "input_data": {"text": "Happy New Year."}})
    return deployed


def act(deployed: Deployed, action: str, body: Any = None) -> Any:
    answer = deployed.api.http.post(f"/api/deployments/{deployed.id}/schedule/{action}", json=body)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


class TestRefusals:
    @pytest.mark.parametrize(("schedule", "pointer", "sentence"), REFUSED, ids=str)
    def test_a_schedule_that_cannot_be_is_a_422_that_says_what_to_write(
        self, api: SiteApi, endpoint: Deployed, schedule: dict[str, Any], pointer: str, sentence: str
    ) -> None:
        body = {"schedule": schedule | {"input_data": {"text": "a"}}}
        refused = expect_problem(api.http.put(f"/api/deployments/{endpoint.id}", json=body), 422, "validation-failed")
        assert pointers(refused) == {f"/schedule{pointer}"}
        [error] = refused["errors"]
        assert_says(error["message"], sentence)
        assert api.http.get(f"/api/deployments/{endpoint.id}").json()["schedule"] is None

    @pytest.mark.parametrize(("schedule", "pointer", "sentence"), REFUSED, ids=str)
    def test_in_a_preview_the_same_is_a_problem(
        self, api: SiteApi, schedule: dict[str, Any], pointer: str, sentence: str
    ) -> None:
        found = preview(api, **schedule)
        [problem] = found["problems"]
        assert problem["pointer"] == pointer
        assert_says(problem["message"], sentence)

    def test_all_that_is_wrong_comes_at_once(self, api: SiteApi) -> None:
        found = preview(api, cron_expression="0 9 1 * 1", timezone="Mars/Base")
        assert {problem["pointer"] for problem in found["problems"]} == {"/day_match", "/timezone"}
        assert (found["runs"], found["words"]) == ([], None)

    def test_a_form_that_is_still_empty_is_told_what_to_fill_in(self, api: SiteApi) -> None:
        for body in ({}, {"cron_expression": None, "interval_seconds": None}):
            found = preview(api, **body)
            assert [problem["pointer"] for problem in found["problems"]] == ["/cron_expression"]
            assert (found["runs"], found["words"]) == ([], None)

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"interval_seconds": 60, "every": 5}, "/every"),
            ({"interval_seconds": 60, "enabled": True}, "/enabled"),
            ({"interval_seconds": 60, "count": 0}, "/count"),
            ({"interval_seconds": 60, "count": 101}, "/count"),
            ({"interval_seconds": 0, "count": "many"}, "/count"),
            ({"interval_seconds": 60, "from": "later"}, "/from"),
            ([], ""),
            ("0 9 * * *", ""),
        ],
    )
    def test_a_preview_of_what_is_no_such_form_is_a_422(self, api: SiteApi, body: Any, pointer: str) -> None:
        refused = expect_problem(api.http.post("/api/schedules/preview", **json_body(body)), 422, "validation-failed")
        assert pointer in pointers(refused)

    def test_a_preview_of_no_json_is_a_400(self, api: SiteApi) -> None:
        expect_problem(api.http.post("/api/schedules/preview"), 400, "malformed-json")
        headers = {"Content-Type": "application/json"}
        answer = api.http.post("/api/schedules/preview", content=b"{", headers=headers)
        expect_problem(answer, 400, "malformed-json")


def assert_says(message: str, sentence: str) -> None:
    assert re.search(sentence, message), message
    assert message.endswith((".", "?")), message


class TestPreviews:
    def test_the_next_runs_with_their_clocks(self, api: SiteApi) -> None:
        found = preview(
            api,
            cron_expression="30 2 * * *",
            timezone="Europe/Paris",
            count=3,
            **{"from": "2025-03-29T00:00:00Z"},
        )
        assert found == {
            "runs": [
                {
                    "utc": "2025-03-29T01:30:00Z",
                    "local": "2025-03-29T02:30:00",
                    "offset": "+01:00",
                    "dst": None,
                    "fires_at": "2025-03-29T01:30:00Z",
                },
                {
                    "utc": "2025-03-30T01:00:00Z",
                    "local": "2025-03-30T03:00:00",
                    "offset": "+02:00",
                    "dst": "gap_shifted",
                    "fires_at": "2025-03-30T01:00:00Z",
                },
                {
                    "utc": "2025-03-31T00:30:00Z",
                    "local": "2025-03-31T02:30:00",
                    "offset": "+02:00",
                    "dst": None,
                    "fires_at": "2025-03-31T00:30:00Z",
                },
            ],
            "words": "At 02:30 every day (Europe/Paris)",
            "problems": [],
        }

    def test_what_the_clocks_show_twice_is_marked(self, api: SiteApi) -> None:
        start = {"from": "2025-11-02T05:00:00Z", "count": 4}
        runs = preview(api, cron_expression="*/30 * * * *", timezone="America/New_York", **start)["runs"]
        shown = [(run["local"][11:16], run["offset"], run["dst"]) for run in runs]
        assert shown == [
            ("01:30", "-04:00", "repeated"),
            ("01:00", "-05:00", "repeated"),
            ("01:30", "-05:00", "repeated"),
            ("02:00", "-05:00", None),
        ]

    def test_ten_runs_from_now_are_the_default_and_count_is_kept(self, api: SiteApi) -> None:
        now = datetime.now(UTC)
        runs = preview(api, interval_seconds=60)["runs"]
        assert len(runs) == 10
        assert now - timedelta(minutes=5) < datetime.fromisoformat(runs[0]["utc"]) < now + timedelta(minutes=5)
        assert len(preview(api, interval_seconds=60, count=100)["runs"]) == 100
        assert len(preview(api, interval_seconds=60, count=1)["runs"]) == 1

    def test_start_end_and_day_match_count(self, api: SiteApi) -> None:
        window = {"start_at": "2050-01-01T00:00:00Z", "end_at": "2050-01-01T00:02:00Z"}
        runs = preview(api, interval_seconds=60, **window)["runs"]
        assert [run["utc"] for run in runs] == ["2050-01-01T00:01:00Z", "2050-01-01T00:02:00Z"]
        start = {"from": "2025-06-01T00:00:00Z", "count": 3}
        either = preview(api, cron_expression="0 9 13 * 5", day_match="or", **start)
        assert [run["utc"][:10] for run in either["runs"]] == ["2025-06-06", "2025-06-13", "2025-06-20"]
        both = preview(api, cron_expression="0 9 13 * 5", day_match="and", **start)
        assert [run["utc"][:10] for run in both["runs"]] == ["2025-06-13", "2026-02-13", "2026-03-13"]
        assert either["words"] != both["words"]

    def test_what_is_over_has_no_runs_and_says_so(self, api: SiteApi) -> None:
        found = preview(api, interval_seconds=60, end_at="2020-01-01T00:00:00Z")
        assert (found["runs"], found["problems"][0]["code"]) == ([], "in_the_past")

    def test_the_end_of_the_calendar_is_no_error(self, api: SiteApi) -> None:
        found = preview(api, cron_expression="0 0 * * *", **{"from": "9999-12-30T12:00:00Z"})
        assert [run["utc"] for run in found["runs"]] == ["9999-12-31T00:00:00Z"]
        assert len(preview(api, cron_expression="0 0 * * *", **{"from": "0001-01-01T00:00:00Z"})["runs"]) == 10

    def test_jitter_is_drawn_when_the_schedule_is_saved(self, api: SiteApi) -> None:
        schedule = {"cron_expression": "0 9 * * *", "jitter_seconds": 3600}
        runs = preview(api, **schedule)["runs"]
        assert {run["fires_at"] for run in runs} == {None}
        deployed = api.deploy()
        shown = deployed.change(schedule=schedule | {"input_data": {"text": "a"}}).json()["schedule"]
        saved = api.http.get(f"/api/deployments/{deployed.id}/schedule/preview").json()["runs"]
        assert [run["utc"] for run in saved] == [run["utc"] for run in runs]
        assert saved[0]["fires_at"] == shown["next_run_at"]
        delays = [datetime.fromisoformat(run["fires_at"]) - datetime.fromisoformat(run["utc"]) for run in saved]
        assert all(timedelta(0) <= delay < timedelta(hours=1) for delay in delays)
        assert len(set(delays)) > 5

    def test_a_deployments_schedule_is_previewed_as_it_fires(self, api: SiteApi, scheduled: Deployed) -> None:
        url = f"/api/deployments/{scheduled.id}"
        found = api.http.get(f"{url}/schedule/preview", params={"count": 3}).json()
        year = datetime.now(UTC).year
        assert [run["utc"] for run in found["runs"]] == [f"{year + more}-01-01T00:00:00Z" for more in (1, 2, 3)]
        assert (found["words"], found["problems"]) == ("At 00:00 on the 1st of January (UTC)", [])
        shown = api.http.get(url).json()["schedule"]
        assert shown["next_run_at"] == found["runs"][0]["utc"]
        assert shown["words"] == found["words"]

    @pytest.mark.parametrize("query", ["count=0", "count=101", "count=x", "count=", "number=5", "from=2025-01-01"])
    def test_a_parameter_that_means_nothing_is_a_422(self, api: SiteApi, scheduled: Deployed, query: str) -> None:
        answer = api.http.get(f"/api/deployments/{scheduled.id}/schedule/preview?{query}")
        expect_problem(answer, 422, "validation-failed")

    def test_what_keeps_it_from_running_is_said(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(schedule={"interval_seconds": 3600, "enabled": False, "input_data": {"text": "a"}})
        act(deployed, "pause", {"reason": "Holidays."})
        deployed.change(status="inactive")
        found = api.http.get(f"/api/deployments/{deployed.id}/schedule/preview").json()
        assert [problem["code"] for problem in found["problems"]] == ["disabled", "paused", "deployment_inactive"]
        assert "key:test (Holidays)" in found["problems"][1]["message"]
        assert len(found["runs"]) == 10


class TestActions:
    def test_a_schedule_is_paused_and_resumed(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(schedule={"interval_seconds": 86_400, "input_data": {"text": "a"}})
        paused = act(deployed, "pause", {"reason": "The model is being changed."})
        assert (paused["paused_by"], paused["paused_reason"]) == ("key:test", "The model is being changed.")
        assert paused["paused_at"] is not None
        assert paused["next_run_at"] is None
        assert api.http.get(f"/api/deployments/{deployed.id}").json()["schedule"] == paused
        # Twice is once: who paused it first, and why, stays.
        assert act(deployed, "pause", {"reason": "Another one."}) == paused
        resumed = act(deployed, "resume")
        assert [resumed[name] for name in ("paused_by", "paused_reason", "paused_at")] == [None, None, None]
        assert resumed["next_run_at"] is not None
        assert act(deployed, "resume", {"catch_up": "all"}) == resumed
        assert deployed.executions() == []

    def test_an_edit_leaves_a_pause_and_a_pause_leaves_an_edit(self, api: SiteApi) -> None:
        deployed = api.deploy()
        schedule = {"interval_seconds": 86_400, "input_data": {"text": "a"}}
        deployed.change(schedule=schedule)
        act(deployed, "pause")
        edited = deployed.change(schedule=schedule | {"interval_seconds": 43_200}).json()["schedule"]
        assert (edited["paused_by"], edited["interval_seconds"], edited["next_run_at"]) == ("key:test", 43_200, None)
        assert act(deployed, "resume")["interval_seconds"] == 43_200

    def test_it_runs_now_with_its_input_whatever_its_state(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(schedule={"interval_seconds": 86_400, "input_data": {"text": "By the clock."}})
        before = api.http.get(f"/api/deployments/{deployed.id}").json()["schedule"]
        started = api.http.post(f"/api/deployments/{deployed.id}/schedule/run")
        assert started.status_code == 202
        assert started.headers["Location"] == started.json()["url"]
        ended = api.wait_for_end(started.json()["execution_id"])
        assert (ended["status"], ended["trigger_type"], ended["triggered_by"]) == ("completed", "manual", "key:test")
        assert (ended["input_data"], ended["scheduled_for"]) == ({"text": "By the clock."}, None)
        assert api.http.get(f"/api/deployments/{deployed.id}").json()["schedule"] == before
        paused = act(deployed, "pause")
        deployed.change(status="inactive")
        assert api.wait_for_end(act(deployed, "run")["execution_id"])["status"] == "completed"
        assert api.http.get(f"/api/deployments/{deployed.id}").json()["schedule"] == paused

    def test_a_run_now_counts_against_the_concurrency_limit(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:stall", limits={"max_concurrent": 1, "when_full": "reject"})
        deployed.change(schedule={"interval_seconds": 86_400, "input_data": {"text": "a"}})
        with deployed.running():
            refused = api.http.post(f"/api/deployments/{deployed.id}/schedule/run")
            expect_problem(refused, 429, "concurrency-limit")

    @pytest.mark.parametrize(
        ("action", "body", "pointer"),
        [
            ("pause", {"why": "x"}, "/why"),
            ("pause", {"reason": {}}, "/reason"),
            ("pause", {"reason": "x" * 1001}, "/reason"),
            ("pause", [], ""),
            ("resume", {"catch_up": "some"}, "/catch_up"),
            ("resume", {"reason": "x"}, "/reason"),
            ("run", {"input_data": {}}, "/input_data"),
        ],
    )
    def test_a_body_that_it_does_not_take_is_a_422(
        self, api: SiteApi, scheduled: Deployed, action: str, body: Any, pointer: str
    ) -> None:
        answer = api.http.post(f"/api/deployments/{scheduled.id}/schedule/{action}", json=body)
        assert pointer in pointers(expect_problem(answer, 422, "validation-failed"))
        assert api.http.get(f"/api/deployments/{scheduled.id}").json()["schedule"]["paused_by"] is None

    @pytest.mark.parametrize(
        ("method", "action"), [("GET", "preview"), *(("POST", a) for a in ("pause", "resume", "run"))]
    )
    def test_without_a_schedule_it_is_a_404_that_says_so(
        self, api: SiteApi, endpoint: Deployed, method: str, action: str
    ) -> None:
        answer = api.http.request(method, f"/api/deployments/{endpoint.id}/schedule/{action}")
        assert "has no schedule" in expect_problem(answer, 404, "no-schedule")["detail"]
        unknown = api.http.request(method, f"/api/deployments/{NOBODY}/schedule/{action}")
        expect_problem(unknown, 404, "not-found")

    def test_an_undeployed_schedule_is_gone(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(schedule={"interval_seconds": 86_400, "input_data": {"text": "a"}})
        api.http.delete(f"/api/deployments/{deployed.id}")
        for action in ("pause", "resume", "run"):
            answer = api.http.post(f"/api/deployments/{deployed.id}/schedule/{action}")
            expect_problem(answer, 404, "not-found")

    def test_both_forms_of_an_address_answer(self, api: SiteApi, scheduled: Deployed) -> None:
        assert api.http.get(f"/api/deployments/{scheduled.id}/schedule/preview/").status_code == 200
        assert api.http.post("/api/schedules/preview/", json={"interval_seconds": 60}).status_code == 200

    @pytest.mark.parametrize(
        ("method", "action", "allowed"),
        [
            ("GET", "preview", {"read", "manage"}),
            ("POST", "pause", {"manage"}),
            ("POST", "resume", {"manage"}),
            ("POST", "run", {"execute"}),
        ],
    )
    def test_each_needs_its_right(
        self, api: SiteApi, scheduled: Deployed, method: str, action: str, allowed: set[str]
    ) -> None:
        url = f"/api/deployments/{scheduled.id}/schedule/{action}"
        for scope in ("read", "execute", "manage"):
            answer = api.other(api.key(scope)).http.request(method, url)
            if scope in allowed:
                assert answer.status_code in (200, 202), answer.text
            else:
                expect_problem(answer, 403, "forbidden")
        expect_problem(api.other(None).http.request(method, url), 401, "not-authenticated")

    def test_a_form_is_previewed_by_whoever_may_look_or_change(self, api: SiteApi) -> None:
        body = {"interval_seconds": 60}
        for scope, status in (("read", 200), ("manage", 200), ("execute", 403)):
            assert api.other(api.key(scope)).http.post("/api/schedules/preview", json=body).status_code == status
        expect_problem(api.other(None).http.post("/api/schedules/preview", json=body), 401, "not-authenticated")
