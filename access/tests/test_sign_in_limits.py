"""Guessing passwords is slow, exactly so over any number of processes, and keeps nobody out for long."""

import datetime as dt
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.models import F
from django.test import Client

from access import origin, sign_in_limits
from access.models import AuditRecord, SignInWindow
from access.origin import Origin
from access.sign_in_forms import KNOWN_BROWSER
from access.sign_in_limits import (
    OF_ACCOUNT,
    OF_ADDRESS,
    OF_BROWSER,
    Bound,
    SignInsSlowed,
    count_attempt,
    forget_windows,
    give_back,
)

pytestmark = pytest.mark.django_db
DOORS = ("/sign-in", "/admin/login/")


@pytest.fixture(autouse=True)
def alice() -> User:
    return User.objects.create_superuser("alice", password="right")


@pytest.fixture
def address() -> Iterator[Any]:
    """Says where attempts come from; the test's client has no address of its own."""
    token = origin._origin.set(origin.PROCESS)
    yield lambda text: origin._origin.set(Origin("page", text))
    origin._origin.reset(token)


def sign_in(client: Client | None = None, *, name: str = "alice", door: str = DOORS[0], **typed: str) -> Any:
    """With a wrong password, unless it is said."""
    return (client or Client()).post(door, {"username": name, "password": "wrong", **typed})


def guess(count: int, **about: Any) -> None:
    for _ in range(count):
        assert sign_in(**about).status_code == 200


def let_windows_end() -> None:
    SignInWindow.objects.update(began_at=F("began_at") - dt.timedelta(seconds=OF_ACCOUNT.seconds + 1))


def actions() -> list[str]:
    return list(AuditRecord.objects.order_by("id").values_list("action", flat=True))


class TestGuessing:
    @pytest.mark.parametrize("door", DOORS)
    def test_after_ten_wrong_passwords_none_is_looked_at_and_the_page_says_until_when(self, door: str) -> None:
        guess(10, door=door)
        for password in ("wrong", "right"):
            answer = sign_in(password=password, door=door)
            assert answer.status_code == 429
            assert 290 <= int(answer["Retry-After"]) <= 300
            page = re.sub(r"\s+", " ", answer.content.decode())
            assert re.search(r"Try again in 5 minutes, at \d\d:\d\d:\d\d UTC", page)
            assert KNOWN_BROWSER not in answer.cookies
        assert "signed_in" not in actions()

    def test_both_doors_count_together(self) -> None:
        guess(5, door=DOORS[0])
        guess(5, door=DOORS[1])
        assert [sign_in(door=door).status_code for door in DOORS] == [429, 429]

    def test_the_next_window_lets_in_again(self) -> None:
        guess(10)
        assert sign_in(password="right").status_code == 429
        let_windows_end()
        assert sign_in(password="right").status_code == 302

    def test_a_name_that_nobody_has_is_answered_alike(self) -> None:
        for name in ("alice", "nobody"):
            guess(10, name=name)
        pages = [sign_in(name=name) for name in ("alice", "nobody")]
        assert {page.status_code for page in pages} == {429}
        texts = {re.sub(r"alice|nobody|value=\"\w{64}\"|\d\d:\d\d:\d\d", "", page.content.decode()) for page in pages}
        assert len(texts) == 1

    def test_the_right_password_and_a_missing_one_count_nothing(self) -> None:
        for _ in range(OF_ACCOUNT.count + 2):
            assert sign_in(password="right").status_code == 302
            assert sign_in(password="").status_code == 200
        assert set(SignInWindow.objects.values_list("count", flat=True)) == {0}

    def test_a_name_is_stored_as_a_hash_that_nobody_can_try_out(self) -> None:
        guess(1, name="hunter2")
        assert "hunter2" not in str(list(SignInWindow.objects.values()))
        (about,) = (
            SignInWindow.objects.exclude(count=0)
            .exclude(about=sign_in_limits.Window.of(sign_in_limits.OF_RECORDS, "").about)
            .values_list("about", flat=True)
        )
        assert about == sign_in_limits.Window.of(OF_ACCOUNT, "hunter2").about


class TestAddresses:
    def test_many_names_from_one_address_are_slowed_and_other_addresses_are_not(self, address: Any) -> None:
        address("192.0.2.1")
        for number in range(OF_ADDRESS.count):
            guess(1, name=f"name{number}")
        assert sign_in(password="right").status_code == 429
        address("192.0.2.2")
        assert sign_in(password="right").status_code == 302

    def test_a_network_of_ipv6_is_one_address_and_a_mapped_one_the_old_one(self) -> None:
        def attempt(name: str, source: str) -> None:
            count_attempt(name=name, address=source, browser=None)

        for number in range(OF_ADDRESS.count):
            attempt(f"six{number}", f"2001:db8::{number:x}")
            attempt(f"four{number}", "::ffff:192.0.2.1" if number % 2 else "192.0.2.1")
        for source in ("2001:db8::ffff", "192.0.2.1"):
            with pytest.raises(SignInsSlowed) as slowed:
                attempt("x", source)
            assert slowed.value.bound == OF_ADDRESS
        attempt("x", "2001:db8:0:1::1")

    def test_an_attempt_that_one_window_refuses_counts_in_none(self) -> None:
        for _ in range(OF_ACCOUNT.count):
            count_attempt(name="alice", address="192.0.2.9", browser=None)
        for _ in range(OF_ADDRESS.count):
            with pytest.raises(SignInsSlowed):
                count_attempt(name="alice", address="192.0.2.1", browser=None)
        count_attempt(name="bob", address="192.0.2.1", browser=None)

    def test_without_an_address_the_account_counts_alone(self) -> None:
        for number in range(OF_ADDRESS.count + 1):
            count_attempt(name=f"name{number}", address=None, browser=None)


class TestKnownBrowsers:
    def test_who_signed_in_here_before_is_not_kept_out_by_who_guesses(self, address: Any) -> None:
        browser = Client()
        known = sign_in(browser, password="right").cookies[KNOWN_BROWSER]
        assert (known["httponly"], known["samesite"]) == (True, "Lax")
        browser.post("/sign-out")
        address("192.0.2.1")
        for number in range(OF_ADDRESS.count - OF_ACCOUNT.count):
            guess(1, name=f"name{number}")
        guess(OF_ACCOUNT.count)
        assert sign_in(password="right").status_code == 429, "any other browser"
        for _ in range(OF_BROWSER.count):
            assert sign_in(browser).status_code == 200
        assert sign_in(browser, password="right").status_code == 429, "it has a window of its own"
        let_windows_end()
        guess(OF_ACCOUNT.count)
        assert sign_in(browser, password="right").status_code == 302

    def test_it_is_known_for_that_account_alone(self) -> None:
        User.objects.create_user("bob", password="right")
        browser = Client()
        sign_in(browser, name="bob", password="right")
        browser.post("/sign-out")
        guess(OF_ACCOUNT.count)
        assert sign_in(browser, password="right").status_code == 429

    @pytest.mark.parametrize("forged", ["", "x", "WyJ4IiwiYWxpY2UiXQ:1a:b", "a:b:c", "\x00"])
    def test_a_forged_one_is_none(self, forged: str) -> None:
        guess(OF_ACCOUNT.count)
        browser = Client()
        browser.cookies[KNOWN_BROWSER] = forged
        assert sign_in(browser, password="right").status_code == 429

    def test_a_refused_sign_in_makes_no_browser_known(self) -> None:
        assert KNOWN_BROWSER not in sign_in().cookies
        User.objects.create_user("bob", password="right")
        assert KNOWN_BROWSER not in sign_in(name="bob", password="right", door=DOORS[1]).cookies, "no staff"


class TestAudit:
    def test_a_full_window_is_told_once_and_attempts_that_nobody_looked_at_are_not(self, alice: User) -> None:
        guess(10)
        for _ in range(20):
            assert sign_in().status_code == 429
        assert actions() == ["sign_in_refused"] * 10 + ["sign_in_slowed"]
        record = AuditRecord.objects.latest("id")
        assert (record.object_id, record.details) == (str(alice.pk), {"of": "account", "attempts": 10, "seconds": 300})
        let_windows_end()
        guess(10)
        assert sign_in().status_code == 429
        assert actions().count("sign_in_slowed") == 2

    def test_of_all_refusals_together_it_holds_so_many_in_an_hour_and_says_which_is_the_last(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bound = Bound("records", 4, 3_600)
        for module in ("access.sign_in_limits", "access.sign_ins"):
            monkeypatch.setattr(f"{module}.OF_RECORDS", bound)
        for number in range(8):
            guess(1, name=f"name{number}")
        assert actions() == ["sign_in_refused"] * 4
        assert [record.details for record in AuditRecord.objects.order_by("id")] == [
            *[{}] * 3,
            {"more": "Those of the next 60 minutes at most are in the log alone."},
        ]
        assert sign_in(password="right").status_code == 302
        assert actions()[-1] == "signed_in", "who gets in is always recorded"


class TestKeeping:
    def test_windows_that_are_long_over_are_deleted_in_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sign_in_limits, "FORGOTTEN_AT_ONCE", 3)
        for number in range(5):
            count_attempt(name=f"name{number}", address=None, browser=None)
        SignInWindow.objects.update(began_at=F("began_at") - dt.timedelta(hours=25))
        count_attempt(name="open", address=None, browser=None)
        assert [forget_windows() for _ in range(3)] == [3, 2, 0]
        assert SignInWindow.objects.get().count == 1

    def test_what_is_given_back_never_falls_below_nothing(self) -> None:
        counted = count_attempt(name="alice", address=None, browser=None)
        SignInWindow.objects.update(count=0)
        give_back(counted)
        assert SignInWindow.objects.get().count == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_exactly_as_many_are_looked_at_as_the_bound_says() -> None:
    passed: list[int] = []
    ready = threading.Barrier(20)

    def attempt() -> None:
        try:
            ready.wait(20)
            count_attempt(name="alice", address="192.0.2.1", browser=None)
            passed.append(1)
        except SignInsSlowed:
            pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(passed) == OF_ACCOUNT.count
    assert set(SignInWindow.objects.values_list("count", flat=True)) == {OF_ACCOUNT.count}
