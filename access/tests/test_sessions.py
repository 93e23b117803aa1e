"""Who is signed in with which session, and what they may do, asked for many at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from access.models import Team
from access.principal_of import principal_of, principals_of
from access.sessions import users_of_sessions

pytestmark = pytest.mark.django_db


def sign_in(name: str) -> str:
    """The session of a new user."""
    browser = Client()
    browser.force_login(User.objects.create_user(name, password=name))
    return str(browser.session.session_key)


def test_sessions_are_their_users() -> None:
    keys = {name: sign_in(name) for name in ("alice", "bob")}
    found = users_of_sessions([*keys.values(), "unknown"])
    assert {name: found[key].get_username() for name, key in keys.items()} == {"alice": "alice", "bob": "bob"}
    assert len(found) == 2
    assert users_of_sessions([]) == {}
    assert users_of_sessions(["\0", keys["alice"][:-1] + "\0"]) == {}  # which a cookie can hold


def test_a_session_that_nobody_is_signed_in_with_is_nobodys() -> None:
    browser = Client()
    session = browser.session
    session["seen"] = True
    session.save()
    assert users_of_sessions([str(session.session_key)]) == {}


@pytest.mark.parametrize("change", ["expired", "flushed", "password", "inactive", "deleted", "backend", "forged"])
def test_a_session_that_is_over_is_nobodys(change: str, settings: Any) -> None:
    key, other = sign_in("alice"), sign_in("bob")
    alice = User.objects.get(username="alice")
    row = Session.objects.filter(session_key=key)
    match change:
        case "expired":
            row.update(expire_date=timezone.now() - timedelta(seconds=1))
        case "flushed":
            row.delete()
        case "password":
            alice.set_password("other")
            alice.save()
        case "inactive":
            User.objects.filter(pk=alice.pk).update(is_active=False)
        case "deleted":
            alice.delete()
        case "backend":
            settings.AUTHENTICATION_BACKENDS = ["elsewhere.Backend"]
        case _:
            row.update(session_data="forged")
    assert set(users_of_sessions([key, other])) == (set() if change == "backend" else {other})


def test_many_users_are_looked_at_as_each_alone_in_a_constant_number_of_queries(
    django_assert_num_queries: Any,
) -> None:
    view, execute = (Permission.objects.get(codename=name) for name in ("view_objects", "execute_deployments"))
    sales = Team.objects.create(name="sales")
    sales.permissions.add(execute)
    teams: list[list[Group]] = [[sales], [Team.default()], [sales, Team.default()], []]
    users = [User.objects.create_user(f"user{number}") for number in range(8)]
    for number, user in enumerate(users):
        user.groups.set(teams[number % 4])
        if number % 2:
            user.user_permissions.add(view)
    users += [User.objects.create_superuser("root"), User.objects.create_superuser("retired", is_active=False)]
    with django_assert_num_queries(3):
        principals = principals_of(users)
    assert principals == {user.pk: principal_of(user) for user in users}
    assert {user.get_username(): principals[user.pk].rights for user in users[:4]} == {
        "user0": {sales.pk: frozenset({"execute"})},
        "user1": {Team.default().pk: frozenset({"view"})},
        "user2": {sales.pk: frozenset({"execute"}), Team.default().pk: frozenset()},
        "user3": {},
    }
    assert principals_of([]) == {}
