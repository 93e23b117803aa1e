"""WebSockets over real sockets: what they show, who may open them, and how they refuse."""

import json
import os
from datetime import datetime
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from deployments.live.closing import Closing
from deployments.tests.live_clients import (
    all_messages,
    bearer,
    cookie_of,
    make_user,
    next_message,
    open_socket,
    run_in_site,
    sign_in,
)
from deployments.tests.site_api import NOBODY, PROBLEM, Deployed, History, SiteApi, events_of
from orchestration_site.tests.sites import Site

pytestmark = pytest.mark.long


def path_of(execution_id: str, after: int | str | None = None) -> str:
    return f"/ws/executions/{execution_id}" + ("" if after is None else f"?after={after}")


def key_of(api: SiteApi) -> str:
    return str(api.http.headers["Authorization"])


def refusal(site: Site, path: str, *, origin: str | None = None, **headers: Any) -> tuple[int, Any]:
    """The status and the problem that the handshake is answered with."""
    with pytest.raises(InvalidStatus) as refused, open_socket(site, path, origin=origin, **headers):
        pass
    response = refused.value.response
    assert response.headers["Content-Type"] == PROBLEM
    problem = json.loads(response.body or b"")
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["X-Request-ID"]
    return response.status_code, problem


def code_shown(site: Site, path: str, *, origin: str, **headers: Any) -> int | None:
    """The code that a browser is shown, which never sees the answer to a handshake."""
    with open_socket(site, path, origin=origin, **headers) as socket:
        messages, code = all_messages(socket)
    assert messages == []
    return code


class TestStream:
    def test_replay_after_each_seq_is_what_server_sent_events_show(self, api: SiteApi, history: History) -> None:
        execution_id = history[2][0]
        shown = [data for _, _, data in events_of(api.http.get(f"/api/executions/{execution_id}/events").text)]
        assert shown == api.http.get(f"/api/executions/{execution_id}").json()["events"]
        for after in range(len(shown) + 2):
            with open_socket(api.site, path_of(execution_id, after), authorization=key_of(api)) as socket:
                messages, code = all_messages(socket)
            assert (messages, code) == (shown[after:], Closing.ENDED.code)
        with open_socket(api.site, path_of(execution_id), authorization=key_of(api)) as socket:
            assert all_messages(socket)[0] == shown

    @pytest.mark.parametrize("model", ["openai:latency-1500+pieces-80", "openai:latency-1500+pieces-1"])
    def test_what_happens_is_shown_live_the_text_before_the_event_that_ends_it(self, api: SiteApi, model: str) -> None:
        with open_socket(api.site, path_of(run_two_agents(api, model)), authorization=key_of(api)) as socket:
            messages, code = all_messages(socket)
        kinds = [message["type"] for message in messages]
        assert (kinds[-1], code) == ("execution.completed", 1000)
        seqs = [message["seq"] for message in messages if "seq" in message]
        assert seqs == list(range(1, len(seqs) + 1))
        started, completed = kinds.index("agent.started"), kinds.index("agent.completed")
        text = [message for message in messages if message.get("agent") == "First" and message["type"] == "delta"]
        assert text
        assert all(started < messages.index(piece) < completed for piece in text)
        assert set(text[0]) == {"type", "block_id", "agent", "key", "offset", "text"}
        assert shown_text(text) == messages[completed]["payload"]["output"]

    def test_an_execution_that_is_cancelled_ends_its_streams(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:stall")
        with (
            deployed.running() as execution_id,
            open_socket(api.site, path_of(execution_id), authorization=key_of(api)) as socket,
        ):
            while next_message(socket)["type"] != "agent.started":
                pass
            api.http.post(f"/api/executions/{execution_id}/cancel")
            messages, code = all_messages(socket)
        assert (messages[-1]["type"], code) == ("execution.cancelled", 1000)


def run_two_agents(api: SiteApi, model: str) -> str:
    """The id of an execution of two agents, one after the other, that was started by hand."""
    agents = [{"id": name.lower(), "name": name, "model": model} for name in ("First", "Second")]
    block = {"id": "b", "type": "sequential", "data": {"label": "B", "task": "Say it.", "agents": agents}}
    document = {"format": 1, "name": "Two", "blocks": [block], "connections": []}
    design_id = api.http.post("/api/designs", json=document).json()["id"]
    started = api.http.post(
        f"/api/designs/{design_id}/execute", json={"input_data": {}}, headers={"Prefer": "respond-async"}
    )
    return str(started.json()["execution_id"])


def shown_text(deltas: list[Any]) -> str:
    """The text as a viewer puts it together."""
    shown = ""
    for delta in deltas:
        assert delta["offset"] <= len(shown)
        shown = shown[: delta["offset"]] + delta["text"]
    return shown


class TestOpening:
    def test_nobody_is_a_401_and_a_page_of_ours_is_shown_the_code(self, api: SiteApi, history: History) -> None:
        for path in (path_of(history[1]), path_of(NOBODY), "/ws/deployments"):
            for headers in ({}, {"authorization": "Bearer ok_wrong"}, {"cookie": "sessionid=wrong"}):
                if "cookie" not in headers:
                    status, problem = refusal(api.site, path, **headers)
                    assert (status, problem["type"]) == (401, "/problems/not-authenticated")
                assert code_shown(api.site, path, origin=api.site.base_url, **headers) == 4401

    def test_a_key_in_the_address_is_none(self, api: SiteApi, history: History) -> None:
        key = key_of(api).removeprefix("Bearer ")
        for name in ("key", "token", "api_key", "authorization"):
            assert refusal(api.site, f"{path_of(history[1])}?{name}={key}")[0] == 401

    @pytest.mark.parametrize("scope", ["read", "execute"])
    def test_the_right_to_view_or_to_execute_suffices(self, api: SiteApi, history: History, scope: str) -> None:
        with open_socket(api.site, path_of(history[1]), authorization=bearer(api.key(scope))) as socket:
            assert next_message(socket)["seq"] == 1

    def test_the_list_needs_the_right_to_view(self, api: SiteApi) -> None:
        status, problem = refusal(api.site, "/ws/deployments", authorization=bearer(api.key("execute")))
        assert (status, problem["type"]) == (403, "/problems/forbidden")

    def test_what_may_not_be_seen_answers_as_what_is_not_there(self, api: SiteApi, history: History) -> None:
        other = api.key("read", deployments=[api.deploy().id])
        key = bearer(api.key("read"))
        theirs = run_in_site(api.site, ANOTHER_TEAMS_EXECUTION)
        refusals = [
            refusal(api.site, path, authorization=credential)
            for path, credential in (
                (path_of(NOBODY), key),
                (path_of(theirs), key),
                (path_of(history[1]), bearer(other)),
                (path_of(theirs, "x"), key),
                ("/ws/executions/x", key),
                ("/ws/nothing", key),
                ("/elsewhere", ""),
            )
        ]
        assert {status for status, _ in refusals} == {404}
        assert (
            len(
                {
                    tuple(value for name, value in problem.items() if name != "request_id" and value != [])
                    for _, problem in refusals
                }
            )
            == 1
        )

    @pytest.mark.parametrize("after", ["x", "-1", "1.5", "%00", "99999999999", "1 "])
    def test_a_position_that_is_none_is_a_400_that_says_what_it_is(
        self, api: SiteApi, history: History, after: str
    ) -> None:
        path = path_of(history[1], after.replace(" ", "%20"))
        status, problem = refusal(api.site, path, authorization=key_of(api))
        assert (status, problem["type"]) == (400, "/problems/bad-position")
        assert code_shown(api.site, path, origin=api.site.base_url, authorization=key_of(api)) == 4400

    def test_a_foreign_host_is_refused(self, api: SiteApi, history: History) -> None:
        status, problem = refusal(api.site, path_of(history[1]), authorization=key_of(api), host="evil.example")
        assert (status, problem["type"]) == (400, "/problems/bad-request")


@pytest.fixture(scope="module")
def cookie(site: Site) -> str:
    """The session of somebody who may see everything."""
    return cookie_of(sign_in(site, "admin", site.admin_password))


class TestSessions:
    def test_a_session_opens_a_socket_from_a_page_of_ours(self, api: SiteApi, history: History, cookie: str) -> None:
        with open_socket(api.site, path_of(history[1]), origin=api.site.base_url, cookie=cookie) as socket:
            assert next_message(socket)["seq"] == 1

    @pytest.mark.parametrize("differs", ["scheme", "host", "port", "null", "no origin", "garbage", "below"])
    def test_another_scheme_host_or_port_is_another_site(
        self, api: SiteApi, history: History, cookie: str, differs: str
    ) -> None:
        port = int(api.site.base_url.rpartition(":")[2])
        origin = {
            "scheme": f"https://127.0.0.1:{port}",
            "host": f"http://localhost:{port}",
            "port": f"http://127.0.0.1:{port + 1}",
            "null": "null",
            "no origin": None,
            "garbage": "http://127.0.0.1:port",
            "below": f"http://x.127.0.0.1:{port}",
        }[differs]
        status, problem = refusal(api.site, path_of(history[1]), origin=origin, cookie=cookie)
        assert (status, problem["type"]) == (403, "/problems/cross-origin")

    def test_a_session_and_a_key_in_one_request_are_a_400(self, api: SiteApi, history: History, cookie: str) -> None:
        status, problem = refusal(api.site, path_of(history[1]), cookie=cookie, authorization=key_of(api))
        assert (status, problem["type"]) == (400, "/problems/two-credentials")

    def test_a_user_without_the_right_is_told_so(self, api: SiteApi, history: History) -> None:
        name = f"typist{os.urandom(3).hex()}"
        make_user(api.site, name, verbs=("change_objects",))
        cookie = cookie_of(sign_in(api.site, name, name))
        for path in (path_of(history[1]), "/ws/deployments"):
            assert code_shown(api.site, path, origin=api.site.base_url, cookie=cookie) == 4403
        assert code_shown(api.site, path_of(NOBODY), origin=api.site.base_url, cookie=cookie) == 4404


class TestClients:
    def test_a_message_that_is_too_large_closes_the_socket(self, api: SiteApi) -> None:
        with open_socket(api.site, "/ws/deployments", authorization=key_of(api)) as socket:
            socket.send("x" * 5_000)
            assert all_messages(socket)[1] == 1009

    def test_some_messages_are_ignored_and_a_flood_is_not(self, api: SiteApi) -> None:
        with open_socket(api.site, "/ws/deployments", authorization=key_of(api)) as socket:
            assert next_message(socket)["type"] == "snapshot"
            for text in ("ping", '{"type": "subscribe"}', b"\x00"):
                socket.send(text)
            api.deploy()
            assert next_message(socket)["type"] == "changes"
            with pytest.raises(ConnectionClosed):
                flood(socket)
            assert socket.close_code == Closing.TALKATIVE.code


def flood(socket: Any) -> None:
    for _ in range(100_000):
        socket.send("ping")


class TestDeployments:
    def test_the_numbers_come_at_once_and_then_as_they_change(self, api: SiteApi) -> None:
        deployed, other = api.deploy("openai:stall"), api.deploy()
        key = api.key("read", deployments=[deployed.id])
        with open_socket(api.site, "/ws/deployments", authorization=bearer(key)) as socket:
            snapshot = next_message(socket)
            idle = {"status": "active", "execution_count": 0, "last_execution_at": None, "queued": 0, "running": 0}
            assert snapshot == {"type": "snapshot", "deployments": [{"id": deployed.id} | idle]}
            other.call()
            with deployed.running() as execution_id:
                numbers_until(socket, deployed, execution_count=0, running=1)
            numbers = numbers_until(socket, deployed, execution_count=1, running=0)
            ended = api.http.get(f"/api/executions/{execution_id}").json()["completed_at"]
            assert datetime.fromisoformat(numbers["last_execution_at"]) == datetime.fromisoformat(ended)
            deployed.change(status="inactive")
            numbers_until(socket, deployed, status="inactive")
            assert api.http.delete(f"/api/deployments/{deployed.id}").status_code == 204
            assert next_message(socket) == {"type": "changes", "deployments": [], "removed": [deployed.id]}


def numbers_until(socket: Any, deployed: Deployed, **wanted: Any) -> dict[str, Any]:
    """The numbers of that one deployment, which is all that is shown, as soon as they are those."""
    numbers: dict[str, Any] = {}
    while not wanted.items() <= numbers.items():
        message: Any = next_message(socket)
        assert message["type"] == "changes"
        (numbers,) = message["deployments"]
        assert numbers["id"] == deployed.id
    return numbers


ANOTHER_TEAMS_EXECUTION = """
from access.models import Team
from deployments.tests.builders import make_deployment, make_queued, make_version
import secrets
team, _ = Team.objects.get_or_create(name="another")
print(make_queued(make_deployment(secrets.token_hex(6), version=make_version(team=team))).id)
"""
