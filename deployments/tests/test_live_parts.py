"""The parts of live progress: messages, pages, what waits for a viewer, rights of many callers, the list's numbers."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from channels.layers import InMemoryChannelLayer
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from access.models import Team
from access.principal import ALL, ALL_VERBS, Principal
from deployments.keys import KeySecret, make_key, principal_of_key, principals_of_secrets, revoke_key, rotate_key
from deployments.live import hub as hub_module
from deployments.live.admission import Admission, Credential, may_follow, principals_by
from deployments.live.board import LIST_VERBS, REMEMBERED_READINGS, Board, Numbers, read_numbers
from deployments.live.closing import Closing
from deployments.live.consumers import _show
from deployments.live.hub import MAX_PENDING_CHARACTERS, MAX_PENDING_DELTAS, Subscription, current_hub
from deployments.live.journal_pages import PAGE_CHARACTERS, PAGE_EVENTS, JournalPages, read_page
from deployments.live.messages import Message, delta_message, event_message
from deployments.live.sse import CHUNK_CHARACTERS, _chunks
from deployments.live.states import State, read_states
from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from deployments.tests.builders import make_deployment, make_queued, make_version


def add_events(execution: ExecutionLog, count: int, payload: Any = None) -> None:
    """Events from seq 2 on, after that which accepted it."""
    ExecutionEvent.objects.bulk_create(
        ExecutionEvent(execution=execution, seq=seq, type="note", payload=payload or {}, at=timezone.now())
        for seq in range(2, count + 2)
    )


@pytest.mark.django_db
class TestPages:
    @pytest.mark.parametrize(
        "payload",
        [{}, {"text": "Zoë\n\r\u2028\"'\\ \x7f 🙂"}, {"n": [1, 1.5, None, True, {"a": []}]}, {"b": 1, "a": 2}],
    )
    def test_a_message_is_the_event_as_every_api_shows_it(self, payload: Any) -> None:
        execution = make_queued()
        row = ExecutionEvent.objects.create(
            execution=execution,
            seq=2,
            type="agent.completed",
            block_id="greet",
            agent='The "Writer"',
            payload=payload,
            at=timezone.now(),
        )
        first, second = read_page(execution.id, 0)
        assert (first.seq, first.type, json.loads(first.text)["block_id"]) == (1, "execution.accepted", None)
        assert json.loads(second.text) == event_message(ExecutionEvent.objects.get(id=row.id))
        assert list(json.loads(second.text)["payload"]) == list(payload)
        assert not {"\n", "\r"} & set(second.text)

    def test_pages_follow_each_other_without_gap_up_to_the_end(self) -> None:
        execution = make_queued()
        add_events(execution, PAGE_EVENTS + 50)
        seqs: list[int] = []
        while page := read_page(execution.id, seqs[-1] if seqs else 0):
            assert len(page) <= PAGE_EVENTS
            seqs += [message.seq or 0 for message in page]
        assert seqs == list(range(1, PAGE_EVENTS + 52))

    def test_a_page_of_large_events_is_short_and_never_empty(self) -> None:
        execution = make_queued()
        add_events(execution, 6, {"text": "x" * (PAGE_CHARACTERS // 2)})
        assert len(read_page(execution.id, 1)) == 2
        add_events(other := make_queued(make_deployment("other")), 2, {"text": "x" * (PAGE_CHARACTERS * 2)})
        assert len(read_page(other.id, 1)) == 1

    def test_states_are_the_rows_and_what_is_gone_has_ended(self) -> None:
        deployment = make_deployment()
        running, ended, gone = make_queued(deployment), make_queued(deployment), uuid4()
        ExecutionLog.objects.filter(id=ended.id).update(status="failed", completed_at=timezone.now(), seq=9)
        assert read_states([running.id, ended.id, gone]) == {
            running.id: State(1, has_ended=False),
            ended.id: State(9, has_ended=True),
            gone: State(0, has_ended=True),
        }


@pytest.mark.django_db(transaction=True)
async def test_viewers_at_one_place_share_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    execution = await asyncio.to_thread(make_queued)
    reads: list[tuple[UUID, int]] = []

    def read(execution_id: UUID, after: int) -> list[Message]:
        reads.append((execution_id, after))
        return read_page(execution_id, after)

    monkeypatch.setattr("deployments.live.journal_pages.read_page", read)
    pages = JournalPages()
    results = await asyncio.gather(*(pages.read(execution.id, after) for after in (0, 0, 0, 1)))
    assert [len(page) for page in results] == [1, 1, 1, 0]
    assert sorted(reads) == [(execution.id, 0), (execution.id, 1)]
    await pages.read(execution.id, 0)
    assert len(reads) == 3


class TestSubscription:
    def test_what_waits_for_a_viewer_is_bounded_and_the_newest(self) -> None:
        subscription = Subscription()
        for number in range(MAX_PENDING_DELTAS + 10):
            subscription.show(delta_message({"key": "k", "offset": number, "text": "x"}))
        offsets = [json.loads(delta.text)["offset"] for delta in subscription.take_deltas()]
        assert offsets == list(range(10, MAX_PENDING_DELTAS + 10))
        assert subscription.take_deltas() == []
        for _ in range(20):
            subscription.show(delta_message({"key": "k", "offset": 0, "text": "x" * (MAX_PENDING_CHARACTERS // 8)}))
        assert sum(len(delta.text) for delta in subscription.take_deltas()) <= MAX_PENDING_CHARACTERS

    def test_the_journal_never_shrinks(self) -> None:
        subscription = Subscription()
        for seq in (3, 7, 5):
            subscription.tell(seq, has_ended=False)
        assert subscription.last_seq == 7


def test_a_chunk_of_an_event_stream_is_bounded() -> None:
    batch = [delta_message({"text": "x" * 1_000}) for _ in range(200)]
    chunks = list(_chunks(batch))
    assert len(chunks) > 3
    assert max(map(len, chunks)) < CHUNK_CHARACTERS + 2_000
    assert "".join(chunks).count("event: delta\n") == 200
    assert list(_chunks([])) == [": still here\n\n"]


async def test_a_socket_with_nothing_to_show_says_that_it_is_alive() -> None:
    """Or a client could not tell it from a connection that is dead."""

    async def batches() -> AsyncIterator[list[Message]]:
        yield []
        yield [delta_message({"text": "x"})]
        yield []

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(json.loads(message["text"]))

    admission = SimpleNamespace(is_over=False, closing=None)
    assert await _show(batches(), admission, send) == Closing.ENDED  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["alive", "delta", "alive"]


class DeafLayer(InMemoryChannelLayer):
    """A layer that is away, until it is back."""

    is_away = True

    async def group_add(self, group: str, channel: str) -> None:
        if self.is_away:
            raise ConnectionError("away")
        await super().group_add(group, channel)


@pytest.mark.django_db(transaction=True)
async def test_the_hub_joins_later_what_it_could_not_join_and_tells_meanwhile_what_the_rows_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = DeafLayer()
    monkeypatch.setattr(hub_module, "channel_layer", lambda: layer)
    monkeypatch.setattr(hub_module, "POLL_SECONDS", 0.05)
    execution = await asyncio.to_thread(make_queued)
    async with current_hub().subscribe(execution.id) as subscription:
        assert await subscription.wait(20)
        assert subscription.last_seq == 1
        assert layer.groups == {}
        layer.is_away = False
        async with asyncio.timeout(20):
            while not layer.groups:
                await subscription.wait(0.1)


@pytest.mark.django_db
class TestRights:
    def test_keys_are_looked_at_as_each_alone(self, django_assert_num_queries: Any) -> None:
        team, deployment = Team.default(), make_deployment()
        made = [
            make_key(name="all", team_id=team.pk, scopes=["read"]),
            make_key(name="some", team_id=team.pk, scopes=["execute"], deployments=[deployment]),
            make_key(name="none", team_id=team.pk, scopes=["execute"], deployments=[deployment]),
            make_key(name="old", team_id=team.pk, scopes=["read"], expires_at=timezone.now() - timedelta(seconds=1)),
            make_key(name="revoked", team_id=team.pk, scopes=["read"]),
        ]
        made[2][0].deployments.clear()
        revoke_key(key=made[4][0], by="user:root")
        with django_assert_num_queries(2):
            found = principals_of_secrets([KeySecret(key.id, key.key_hash) for key, _ in made])
        principals = {secret.key_id: principal for secret, principal in found.items()}
        alone = {key.id: principal_of_key(plaintext) for key, plaintext in made}
        assert principals == {key_id: found.principal for key_id, found in alone.items() if found is not None}
        assert [principals[key.id].deployment_ids for key, _ in made[:3]] == [
            ALL,
            frozenset({deployment.id}),
            frozenset(),
        ]

    def test_what_was_opened_with_the_earlier_secret_of_a_key_goes_when_that_one_does(self) -> None:
        key, plaintext = make_key(name="k", team_id=Team.default().pk, scopes=["read"])
        opened = principal_of_key(plaintext)
        assert opened is not None
        old = Credential(key=opened.principal.secret)
        newer = principal_of_key(rotate_key(key=key, by="user:root"))
        assert newer is not None
        new = Credential(key=newer.principal.secret)
        assert set(principals_by({old, new})) == {old, new}
        rotate_key(key=key, by="user:root", grace=timedelta())
        assert principals_by({old, new}) == {}

    def test_five_hundred_callers_take_a_handful_of_queries(self, django_assert_max_num_queries: Any) -> None:
        team = Team.default()
        keys = [make_key(name="k", team_id=team.pk, scopes=["read"])[0] for _ in range(60)]
        credentials = {Credential(key=KeySecret(key.id, key.key_hash)) for key in keys}
        for number in range(10):
            browser = Client()
            browser.force_login(User.objects.create_user(f"user{number}"))
            credentials.add(Credential(session_key=browser.session.session_key))
        unknown = {Credential(key=KeySecret(uuid4(), "x")), Credential(session_key="unknown")}
        with django_assert_max_num_queries(7):
            principals = principals_by(credentials | unknown)
        assert set(principals) == credentials
        assert {principal.label for principal in principals.values()} >= {"key:k", "user:user3"}
        assert principals_by([]) == {}

    @pytest.mark.parametrize("lost", ["the team's right", "the membership"])
    def test_a_stream_ends_when_the_right_is_left_in_another_team_only(self, lost: str) -> None:
        """What `Admissions` does every few seconds, by the rights of then. The list goes on with what is left."""
        view = Permission.objects.get(codename="view_objects")
        here, there = (Team.objects.create(name=name) for name in ("here", "there"))
        user = User.objects.create_user("alice")
        for team in (here, there):
            team.permissions.add(view)
            user.groups.add(team)
        browser = Client()
        browser.force_login(user)
        credential = Credential(session_key=browser.session.session_key)
        execution = make_queued(make_deployment("here", version=make_version(team=here)))  # type: ignore[arg-type] # a Team
        before = principals_by({credential})[credential]
        stream = Admission(credential, before, may_follow(execution))
        board = Admission(credential, before, lambda now: now.may(*LIST_VERBS))
        for admission in (stream, board):
            admission.look_again(principals_by({credential})[credential])
            assert not admission.is_over
        if lost == "the membership":
            user.groups.remove(here)
        else:
            here.permissions.remove(view)
        for admission in (stream, board):
            admission.look_again(principals_by({credential})[credential])
        assert (stream.closing, board.closing) == (Closing.NOT_ALLOWED, None)
        numbers_of_both = Board()
        numbers_of_both.take(1, {uuid4(): numbers(uuid4(), team_id=team.pk) for team in (here, there)})
        shown = numbers_of_both.changes(board.principal, since=0).numbers
        assert [row.team_id for row in shown] == [there.pk]

    def test_one_execution_is_visible_to_whom_the_queryset_shows_it(self) -> None:
        team, other = Team.default(), Team.objects.create(name="other")
        rows = [make_queued(make_deployment("one")), make_queued(make_deployment("two"))]
        draft = make_queued(make_deployment("three"))
        ExecutionLog.objects.filter(id=draft.id).update(deployment=None)
        rows.append(ExecutionLog.objects.get(id=draft.id))
        here, elsewhere = {team.pk: ALL_VERBS}, {team.pk: frozenset({"change"}), other.pk: ALL_VERBS}
        for rights in (ALL, {}, here, elsewhere):
            for deployments in (ALL, frozenset[UUID](), frozenset({rows[0].deployment_id})):
                principal = Principal(rights, deployments, "user:x")  # type: ignore[arg-type] # it has one
                shown = set(ExecutionLog.objects.visible_to(principal, "view", "execute"))
                assert {row for row in rows if row.is_visible_to(principal, "view", "execute")} == shown
                assert bool(shown) is (rights in (ALL, here) and deployments != frozenset())


def numbers(deployment_id: UUID, team_id: int = 1, count: int = 0) -> Numbers:
    return Numbers(deployment_id, team_id, "active", count, None, queued=0, running=0)


class TestBoard:
    everybody = Principal(ALL, ALL, "user:root")

    def test_only_what_has_changed_is_shown_and_only_to_whom_may_see_it(self) -> None:
        board, (one, two) = Board(), (uuid4(), uuid4())
        board.take(1, {one: numbers(one), two: numbers(two, team_id=2)})
        board.take(2, {one: numbers(one, count=1), two: numbers(two, team_id=2)})
        assert [row.id for row in board.changes(self.everybody, since=1).numbers] == [one]
        assert len(board.changes(self.everybody, since=0).numbers) == 2
        assert board.changes(self.everybody, since=2).numbers == []
        theirs = Principal({1: frozenset({"execute"}), 2: frozenset({"view"})}, ALL, "user:x")
        assert [row.id for row in board.changes(theirs, since=0).numbers] == [two]
        narrow = Principal(ALL, frozenset({one}), "key:x")
        assert [row.id for row in board.changes(narrow, since=0).numbers] == [one]

    def test_what_is_gone_is_said_and_in_the_end_forgotten(self) -> None:
        board, one = Board(), uuid4()
        board.take(1, {one: numbers(one)})
        board.take(2, {})
        assert board.changes(self.everybody, since=1).gone == [one]
        board.take(3, {one: numbers(one)})
        assert (board.changes(self.everybody, since=2).gone, len(board.changes(self.everybody, since=2).numbers)) == (
            [],
            1,
        )
        board.take(4, {})
        board.take(5 + REMEMBERED_READINGS, {})
        assert board._rows == {}

    @pytest.mark.django_db
    def test_the_numbers_are_those_of_the_rows(self, django_assert_num_queries: Any) -> None:
        deployment, idle = make_deployment("busy"), make_deployment("idle")
        make_deployment("gone", deleted_at=timezone.now())
        for _ in range(3):
            make_queued(deployment)
        running = make_queued(deployment)
        ExecutionLog.objects.filter(id=running.id).update(status="running", lease_expires_at=timezone.now())
        Deployment.objects.filter(id=deployment.id).update(execution_count=7, last_execution_at=running.created_at)
        with django_assert_num_queries(2):
            found = read_numbers()
        assert set(found) == {deployment.id, idle.id}
        shown = found[deployment.id].shown()
        assert (shown["queued"], shown["running"], shown["execution_count"]) == (3, 1, 7)
        assert shown["last_execution_at"] == running.created_at.isoformat().replace("+00:00", "Z")
