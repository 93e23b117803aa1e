"""The table of rights, row by row: every route of the API and of the pages, and every socket, by all who may ask.

What belongs to another team answers as what does not exist, byte for byte but for the ids that the request names.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.routing import URLRouter
from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from access.models import Team
from access.principal import ALL
from access.rights import RIGHTS
from deployments.live import consumers
from deployments.live.closing import Closing
from deployments.live.routing import websocket_urlpatterns
from orchestration_site.tests.rights_callers import (
    CALLERS,
    HERE,
    PEOPLE,
    THERE,
    Caller,
    Ids,
    client_of,
    make_things,
    missing_things,
    without_form_tokens,
)
from orchestration_site.tests.rights_rows import OPEN, PAGES, REST, SOCKETS, Row
from rest.async_view import AwaitMixin
from rest.routers import RootView

pytestmark = [pytest.mark.django_db, pytest.mark.either_database]

KEY = next(caller for caller in CALLERS if caller.name == "key of another team")
METHODS = ("get", "post", "put", "patch", "delete")


def routes(patterns: Sequence[Any] | None = None) -> Iterator[URLPattern]:
    """Every route outside the admin, which has a test of its own."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":
                yield from routes(pattern.url_patterns)
        else:
            yield pattern


def requests_of(pattern: URLPattern) -> list[str]:
    """The rows that a route has to have: of the API one for each method, of other views one."""
    view = getattr(pattern.callback, "cls", None)
    if view is None:
        return [str(pattern.name)]
    given = getattr(pattern.callback, "actions", None) or {name: name for name in METHODS if hasattr(view, name)}
    return [f"{method.upper()} {pattern.name}" for method in given if method != "head"]


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    found = {request for pattern in routes() if pattern.name not in OPEN for request in requests_of(pattern)}
    assert found == {name.partition("#")[0] for name in (*REST, *PAGES)}


def test_every_socket_has_a_row_and_every_row_a_socket() -> None:
    found = {re.sub(r"\^ws/|/.*|\W", "", pattern.pattern.regex.pattern, count=2) for pattern in websocket_urlpatterns}
    assert {name.removesuffix("$").rstrip("?/") for name in found} == set(SOCKETS)


def test_every_line_of_the_table_is_somebodys_request() -> None:
    asked = {(row.kind, row.action) for row in (*REST.values(), *PAGES.values())}
    in_the_admin_alone = {("schedule", "list"), ("schedule", "retrieve"), ("key", "update")}
    assert asked | in_the_admin_alone == {(kind, action) for kind, actions in RIGHTS.items() for action in actions}
    assert RootView.required_verbs["GET"] == RIGHTS["site"]["read_root"]


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> Ids:
    """One team's things. Views that answer from a thread of their own do so in this one, and see its transaction."""
    for pattern in routes():
        view = getattr(pattern.callback, "cls", None)
        if view is not None and issubclass(view, AwaitMixin):
            monkeypatch.setattr(pattern, "callback", pattern.callback.__wrapped__)  # type: ignore[attr-defined] # `wraps`
    Team.objects.create(name=THERE)
    return make_things(Team.objects.create(name=HERE))


def ask(client: Client, method: str, row: Row, ids: Ids, **headers: str) -> HttpResponse:
    """The answer, of which nothing is kept."""
    body = {} if row.body is None else {"data": _filled(json.dumps(row.body), ids), "content_type": "application/json"}
    with transaction.atomic():
        answer: Any = getattr(client, method.lower())(_filled(row.address, ids), headers=headers, **body)
        transaction.set_rollback(True)
    return answer  # type: ignore[no-any-return] # the test client's own


def _filled(text: str, ids: Ids) -> str:
    for name, value in ids.items():
        text = text.replace("{" + name + "}", value)
    return text


def shown(answer: HttpResponse, *ids: Ids) -> tuple[int, Any, str]:
    """What a caller is told, but for these ids and the request's own."""
    text = answer.content.decode()
    for value in {*chain(*(each.values() for each in ids)), answer.headers.get("X-Request-ID") or "none"}:
        text = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", "…", text)
    kept = {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}
    return answer.status_code, kept, without_form_tokens(re.sub(r'"request_id": ?"[^"]*"', "", text))


def expected(caller: Caller, row: Row) -> int:
    """What the table says."""
    if not caller.is_valid:
        return 401
    if row.makes and caller.is_narrow:
        return 403
    allowed = [team for team in (HERE, THERE) if is_allowed(caller, row, team)]
    if not row.names_a_thing:
        # Of two teams neither is meant by itself; a superuser means the default team.
        is_unclear = row.makes and len(allowed) > 1 and caller.rights is not ALL
        return (422 if is_unclear else row.ok) if allowed else 403
    if not caller.belongs(HERE) or caller.is_narrow:
        return row.hidden
    return row.ok if HERE in allowed else 403


def is_listed(caller: Caller, row: Row) -> bool:
    """Whether the list shows this team's thing: to who has the right for the list in this team."""
    return caller.is_valid and not caller.is_narrow and is_allowed(caller, row, HERE)


def is_allowed(caller: Caller, row: Row, team: str) -> bool:
    held = caller.verbs_in(team)
    return not held.isdisjoint(row.verbs) and set(row.also) <= held


@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_the_api_answers_by_the_table(caller: Caller, things: Ids) -> None:
    client, wrong, told_apart = client_of(caller), dict[str, Any](), []
    missing = missing_things(things)
    for name, row in REST.items():
        method = name.partition(" ")[0]
        answer = ask(client, method, row, things, Prefer="respond-async")
        if answer.status_code != expected(caller, row):
            wrong[name] = (answer.status_code, expected(caller, row))
        if row.lists and (things[row.lists] in answer.content.decode()) is not is_listed(caller, row):
            wrong[name] = f"lists it: {not is_listed(caller, row)}"
        if answer.status_code in (404, 422):
            absent = ask(client, method, row, missing, Prefer="respond-async")
            told_apart += [name] if shown(absent, things, missing) != shown(answer, things, missing) else []
    assert (wrong, told_apart) == ({}, [])


@pytest.mark.parametrize("caller", PEOPLE, ids=str)
def test_the_pages_answer_by_the_table(caller: Caller, things: Ids) -> None:
    client, wrong, told_apart = client_of(caller), dict[str, Any](), []
    missing = missing_things(things)
    for name, row in PAGES.items():
        answer = ask(client, "get", row, things, **{"HX-Request": "true"})
        # A page asks for the right before it looks for the thing, which may be anybody's.
        wanted = 403 if caller.is_valid and not caller.may_somewhere(*row.verbs) else expected(caller, row)
        if answer.status_code != wanted:
            wrong[name] = (answer.status_code, wanted)
        if row.lists and (things[row.lists] in answer.content.decode()) is not is_listed(caller, row):
            wrong[name] = f"lists it: {not is_listed(caller, row)}"
        if answer.status_code == 404:
            absent = ask(client, "get", row, missing, **{"HX-Request": "true"})
            told_apart += [name] if shown(absent, things, missing) != shown(answer, things, missing) else []
    assert (wrong, told_apart) == ({}, [])


def connect(client: Client, address: str, *, from_our_page: bool = True) -> list[Any]:
    """Everything that the site sends to a socket: it is opened, and closed as soon as it would show something."""
    headers = [(b"host", b"testserver")]
    if from_our_page:
        headers.append((b"origin", b"http://testserver"))
    if "HTTP_AUTHORIZATION" in client.defaults:
        headers.append((b"authorization", str(client.defaults["HTTP_AUTHORIZATION"]).encode()))
    if (cookie := client.cookies.get(settings.SESSION_COOKIE_NAME)) is not None:
        headers.append((b"cookie", f"{cookie.key}={cookie.value}".encode()))
    scope: Any = {"type": "websocket", "path": address, "query_string": b"", "headers": headers}
    sent: list[Any] = []

    incoming = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        return next(incoming, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    site: Any = URLRouter(websocket_urlpatterns)
    async_to_sync(site)({**scope, "extensions": {"websocket.http.response": {}}}, receive, send)
    return sent


@pytest.fixture
def sockets_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket is opened in this thread's transaction, and is over once it is open."""

    async def here(function: Any, *args: Any, **kwargs: Any) -> Any:
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)

    async def end(*_: Any) -> Closing:
        return Closing.ENDED

    monkeypatch.setattr(consumers, "in_database_thread", here)
    monkeypatch.setattr(consumers, "_show", end)


@pytest.mark.usefixtures("sockets_that_end")
@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_sockets_are_opened_by_the_table(caller: Caller, things: Ids) -> None:
    client, missing = client_of(caller), missing_things(things)
    for row in SOCKETS.values():
        if row is None:
            continue
        *_, closed = connect(client, _filled(row.address, things))
        status = expected(caller, row)
        assert (row.address, closed["code"]) == (row.address, 1000 if status == 200 else 4000 + status)
        if status == 404:
            for from_our_page in (True, False):
                answers = [
                    connect(client, _filled(row.address, ids), from_our_page=from_our_page) for ids in (things, missing)
                ]
                assert re.sub(rb'"request_id": ?"[^"]*"', b"", repr(answers[0]).encode()) == re.sub(
                    rb'"request_id": ?"[^"]*"', b"", repr(answers[1]).encode()
                )


class TestTwoCredentials:
    """A request that bears a key and a session is no one's where keys are known, and the session's elsewhere."""

    @pytest.fixture
    def key(self) -> str:
        return str(client_of(KEY).defaults["HTTP_AUTHORIZATION"])

    @pytest.fixture
    def browser(self, things: Ids) -> Client:
        return client_of(Caller("may view", {HERE: {"view"}}))

    def test_the_api_and_its_streams_refuse_it_whatever_either_may(
        self, browser: Client, key: str, things: Ids
    ) -> None:
        endpoint = REST["POST endpoint"]
        asked = [(name, row, key) for name, row in REST.items()]
        asked += [
            ("POST endpoint", endpoint, "Bearer wrong"),
            ("POST endpoint", endpoint, key.replace("Bearer", "bEARER")),
        ]
        for name, row, header in asked:
            answer = ask(browser, name.partition(" ")[0], row, things, Authorization=header)
            problem = json.loads(answer.content)
            assert (name, answer.status_code, problem["type"]) == (name, 400, "/problems/two-credentials")

    @pytest.mark.usefixtures("sockets_that_end")
    def test_sockets_refuse_it(self, browser: Client, key: str, things: Ids) -> None:
        browser.defaults["HTTP_AUTHORIZATION"] = key
        for row in SOCKETS.values():
            if row is not None:
                assert connect(browser, _filled(row.address, things))[-1]["code"] == 4400

    def test_pages_and_the_admin_know_sessions_alone(self, browser: Client, key: str, things: Ids) -> None:
        """A key opens none of them, and adds nothing to what the session may."""
        assert browser.get("/designs", headers={"Authorization": key}).status_code == 200
        dialog = f"/deployments/{things['deployment']}/execute"
        assert browser.get(dialog, headers={"Authorization": key}).status_code == 403
        for address in ("/designs", dialog, "/admin/"):
            answer = Client().get(address, headers={"Authorization": key})
            assert (address, answer.status_code) == (address, 302)
