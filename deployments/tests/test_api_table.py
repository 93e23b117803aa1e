"""Calling a deployed endpoint: every row of the API's table of answers, over a socket."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deployments.tests.site_api import Deployed, SiteApi, events_of, expect_problem, json_body, pointers


class TestCalling:
    def test_finished_within_the_wait_is_a_200_with_the_result(self, api: SiteApi, endpoint: Deployed) -> None:
        answer = endpoint.call({"text": "The parcel came late."})
        assert answer.status_code == 200
        body = answer.json()
        assert list(body) == ["execution_id", "status", "result", "usage", "cost", "duration_ms"]
        assert body["status"] == "completed"
        assert "parcel" in body["result"]
        assert body["cost"] == "0"
        assert answer.headers["Content-Location"] == f"/api/executions/{body['execution_id']}"
        assert "Location" not in answer.headers
        assert "Retry-After" not in answer.headers

    def test_the_wait_over_is_a_202_and_the_run_goes_on(self, api: SiteApi) -> None:
        answer = api.deploy("openai:latency-5000").call(Prefer="wait=1")
        assert answer.status_code == 202
        body = answer.json()
        assert list(body) == ["execution_id", "status", "url"]
        assert body["status"] in ("queued", "running")
        assert answer.headers["Location"] == body["url"] == f"/api/executions/{body['execution_id']}"
        assert answer.headers["Preference-Applied"] == "wait=1"
        assert int(answer.headers["Retry-After"]) > 0
        assert api.wait_for_end(body["execution_id"])["status"] == "completed"

    def test_the_longest_wait_is_300_seconds(self, endpoint: Deployed) -> None:
        answer = endpoint.call(Prefer="wait=9999")
        assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=300")

    @pytest.mark.parametrize("preference", ["wait=x", "wait=-1", "wait", "return=minimal", ", ,", "wait=1e400"])
    def test_a_preference_that_cannot_be_read_is_ignored(self, endpoint: Deployed, preference: str) -> None:
        answer = endpoint.call(Prefer=preference)
        assert answer.status_code == 200
        assert "Preference-Applied" not in answer.headers

    def test_respond_async_is_a_202_at_once(self, api: SiteApi) -> None:
        with api.deploy("openai:stall").running():
            pass  # the answer came, and the model never does
        answer = api.deploy().call(Prefer="respond-async")
        assert answer.status_code == 202
        assert answer.headers["Preference-Applied"] == "respond-async"
        assert answer.headers["Location"] == answer.json()["url"]

    def test_event_stream_is_a_200_that_ends_with_the_terminal_event(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:pieces-40")
        answer = deployed.call(Accept="text/event-stream")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Content-Location"].startswith("/api/executions/")
        events = events_of(answer.text)
        assert events[-1][1] == "execution.completed"
        assert [seq for seq, kind, _ in events if kind != "delta"] == [str(number) for number in range(1, 8)]
        pieces = [data for _, kind, data in events if kind == "delta"]
        assert all(set(piece) == {"type", "block_id", "agent", "key", "offset", "text"} for piece in pieces)
        assert "".join(str(piece["text"]) for piece in pieces).startswith("Mock answer")

    def test_a_run_that_fails_is_a_500_that_names_the_block_and_the_cause(self, api: SiteApi) -> None:
        answer = api.deploy("openai:invalid", output_schema={"type": "object", "required": ["score"]}).call()
        body = expect_problem(answer, 500, "execution-failed")
        assert (body["block_id"], body["agent"]) == ("summarise", "Writer")
        assert body["cause"]
        assert body["url"] == f"/api/executions/{body['execution_id']}"
        assert api.http.get(body["url"]).json()["error_code"] == "invalid_output"

    def test_a_provider_that_fails_is_a_502(self, api: SiteApi) -> None:
        body = expect_problem(api.deploy("openai:status-400").call(), 502, "provider-failed")
        assert (body["block_id"], body["agent"]) == ("summarise", "Writer")
        assert api.http.get(body["url"]).json()["error_code"] == "provider_error"

    def test_a_deadline_that_passes_is_a_504(self, api: SiteApi) -> None:
        body = expect_problem(api.deploy("openai:stall", limits={"deadline_seconds": 1}).call(), 504, "deadline-passed")
        assert api.http.get(body["url"]).json()["error_code"] == "timeout"

    def test_cancelled_while_the_caller_waits_is_a_409(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:stall")
        answers: list[httpx.Response] = []
        waiter = threading.Thread(target=lambda: answers.append(deployed.call()))
        waiter.start()
        execution_id = deployed.only_execution()
        assert api.http.post(f"/api/executions/{execution_id}/cancel").status_code == 202
        waiter.join()
        body = expect_problem(answers[0], 409, "execution-cancelled")
        assert body["execution_id"] == execution_id

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"{}}",
            b'{"text": "a",}',
            b'{"text": NaN}',
            b'{"text": 1e400}',
            b'{"text": -1e400}',
            b'{"text": ' + b"9" * 5_000 + b"}",
            b'{"text": "\\u0000"}',
            b'{"\\u0000": "a"}',
            b'{"text": "\\ud800"}',
            b'{"text": "\xff"}',
            b'{"text": "a", "text": "b"}',
            b"[" * 101 + b"]" * 101,
            b"[" * 100_000,
            b'{"a":' * 150_000,
            b"\xef\xbb\xbf{}",
            b"'text'",
        ],
        ids=lambda body: repr(body[:24]),
    )
    def test_json_that_is_malformed_or_hostile_is_a_400(self, api: SiteApi, endpoint: Deployed, body: bytes) -> None:
        answer = api.http.post(endpoint.path, content=body, headers={"Content-Type": "application/json"})
        expect_problem(answer, 400, "malformed-json")

    def test_the_deepest_json_that_is_allowed_arrives_whole(self, api: SiteApi) -> None:
        value: Any = "deep"
        for _ in range(98):
            value = [value]
        answer = api.deploy(input_schema=None).call({"text": value})
        shown = api.http.get(f"/api/executions/{answer.json()['execution_id']}").json()
        assert shown["input_data"] == {"text": value}

    def test_more_than_a_mebibyte_is_a_413_with_its_length_given(self, api: SiteApi, endpoint: Deployed) -> None:
        answer = endpoint.call({"text": "a" * (1024 * 1024)})
        expect_problem(answer, 413, "body-too-large")

    def test_more_than_a_mebibyte_is_a_413_while_it_streams_in(self, api: SiteApi, endpoint: Deployed) -> None:
        def chunks() -> Iterator[bytes]:
            yield b'{"text": "'
            for _ in range(64):
                yield b"a" * 32_768
            yield b'"}'

        answer = api.http.post(endpoint.path, content=chunks(), headers={"Content-Type": "application/json"})
        expect_problem(answer, 413, "body-too-large")

    def test_a_chunked_body_is_read_like_any_other(self, api: SiteApi, endpoint: Deployed) -> None:
        chunks = iter([b'{"text": ', b'"The parcel came late."}'])
        answer = api.http.post(endpoint.path, content=chunks, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200
        assert "parcel" in answer.json()["result"]

    def test_no_body_is_an_empty_input(self, api: SiteApi, endpoint: Deployed) -> None:
        assert api.http.post(api.deploy(input_schema=None).path).status_code == 200
        assert pointers(expect_problem(api.http.post(endpoint.path), 422, "validation-failed")) == {"/text"}

    @pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Bearer ok_a_b", "Basic dTpw", "Bearer ok__"])
    def test_no_key_or_a_wrong_one_is_a_401_with_a_challenge(
        self, api: SiteApi, endpoint: Deployed, header: str | None
    ) -> None:
        headers = {} if header is None else {"Authorization": header}
        answer = httpx.post(f"{api.site.base_url}{endpoint.path}", json={}, headers=headers)
        expect_problem(answer, 401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_key_in_the_address_is_no_key(self, api: SiteApi, endpoint: Deployed) -> None:
        key = api.http.headers["Authorization"].removeprefix("Bearer ")
        answer = httpx.post(f"{api.site.base_url}{endpoint.path}?api_key={key}&key={key}", json={})
        expect_problem(answer, 401, "not-authenticated")

    def test_a_key_without_the_right_is_a_403(self, api: SiteApi, endpoint: Deployed) -> None:
        reader = api.other(api.key("read"))
        expect_problem(reader.http.post(endpoint.path, json={"text": "a"}), 403, "forbidden")

    def test_an_unknown_path_is_a_404(self, api: SiteApi, endpoint: Deployed) -> None:
        for path in (
            f"{endpoint.path}x",
            f"/api/deployed/{endpoint.path[14:].upper()}",
            f"{endpoint.path}/more",
            "/api/deployed/a..b",
        ):
            expect_problem(api.http.post(path, json={}), 404, "not-found")

    def test_an_input_that_does_not_fit_is_a_422_with_pointers(self, endpoint: Deployed) -> None:
        assert pointers(expect_problem(endpoint.call({}), 422, "validation-failed")) == {"/text"}
        assert pointers(expect_problem(endpoint.call({"text": 7}), 422, "validation-failed")) == {"/text"}
        assert "/more" in pointers(expect_problem(endpoint.call({"text": "a", "more": 1}), 422, "validation-failed"))

    @pytest.mark.parametrize("body", [[], "text", 7, None, True])
    def test_an_input_that_is_no_object_is_a_422(self, api: SiteApi, body: Any) -> None:
        answer = api.http.post(api.deploy(input_schema=None).path, **json_body(body))
        expect_problem(answer, 422, "validation-failed")

    def test_an_inactive_deployment_is_a_409_with_the_reason(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(status="inactive")
        body = expect_problem(deployed.call(), 409, "deployment-inactive")
        assert "key:test" in body["status_reason"]

    def test_a_deployment_in_error_is_a_409_until_it_is_set_active(self, api: SiteApi) -> None:
        deployed = api.deploy()
        in_error = "status='error', status_reason='Paused after 5 failures in a row.'"
        row = f"Deployment.objects.filter(id='{deployed.id}')"
        api.site.run_manage("shell", "-c", f"from deployments.models import Deployment; {row}.update({in_error})")
        body = expect_problem(deployed.call(), 409, "deployment-error")
        assert body["status_reason"] == "Paused after 5 failures in a row."
        deployed.change(status="active")
        assert deployed.call().status_code == 200

    def test_the_concurrency_limit_is_a_429_with_retry_after(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:stall", limits={"max_concurrent": 1, "when_full": "reject"})
        with deployed.running():
            answer = deployed.call()
            expect_problem(answer, 429, "concurrency-limit")
            assert int(answer.headers["Retry-After"]) > 0

    def test_another_method_is_a_405_with_allow(self, api: SiteApi, endpoint: Deployed) -> None:
        answer = api.http.put(endpoint.path, json={})
        expect_problem(answer, 405, "method-not-allowed")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "HEAD", "OPTIONS"}

    @pytest.mark.parametrize("accepted", ["application/xml", "image/png", "text/plain"])
    def test_an_answer_type_that_is_not_made_is_a_406(self, endpoint: Deployed, accepted: str) -> None:
        expect_problem(endpoint.call(Accept=accepted), 406, "not-acceptable")

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
    )
    def test_a_body_that_is_not_json_is_a_415(self, api: SiteApi, endpoint: Deployed, content_type: str) -> None:
        answer = api.http.post(endpoint.path, content=b'{"text": "a"}', headers={"Content-Type": content_type})
        expect_problem(answer, 415, "unsupported-media-type")

    def test_errors_before_a_stream_begins_are_problems(self, endpoint: Deployed) -> None:
        expect_problem(endpoint.call({}, Accept="text/event-stream"), 422, "validation-failed")
