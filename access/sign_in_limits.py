"""Guessing passwords is slow: so many attempts for one account and from one address in a window, over all processes.

An attempt is counted before its password is looked at, and given back when it was right. Who guesses somebody's
password must not keep them out: a browser that this account was signed in from before is counted by itself, and waits
for nobody else. In any other one its owner waits for the next window, which is minutes.
"""

import ipaddress
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from django.db import transaction
from django.db.models import Case, DateTimeField, F, Q, Value, When
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from access.models import SignInWindow

#: IPv6 gives whoever has one address a whole network of these.
IPV6_NETWORK = 64
FORGOTTEN_AFTER: Final = timedelta(days=1)
FORGOTTEN_AT_ONCE: Final = 1_000
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bound:
    """So many in a window of so many seconds, which begins with the first that finds none open."""

    kind: str
    count: int
    seconds: int


OF_ACCOUNT: Final = Bound("account", 10, 300)
OF_ADDRESS: Final = Bound("address", 30, 300)
OF_BROWSER: Final = Bound("browser", 10, 300)
#: Of all refused sign-ins together, how many the audit holds; the log holds the others.
OF_RECORDS: Final = Bound("records", 1_000, 3_600)


@dataclass(frozen=True)
class Window:
    """What is counted: a bound, and for what, as a keyed hash."""

    bound: Bound
    about: str

    @classmethod
    def of(cls, bound: Bound, what: str) -> "Window":
        return cls(bound, salted_hmac(f"access.sign_in.{bound.kind}", what, algorithm="sha256").hexdigest())


class SignInsSlowed(Exception):
    """A window is full. `is_first`: nobody was told so in this window yet."""

    def __init__(self, bound: Bound, *, opens_in: int, is_first: bool) -> None:
        self.bound, self.opens_in, self.is_first = bound, opens_in, is_first
        super().__init__(f"The {bound.count} attempts of {bound.seconds} s are used up.")


class _Full(Exception):
    def __init__(self, window: Window) -> None:
        self.window = window


def count_attempt(*, name: str, address: str | None, browser: str | None) -> tuple[Window, ...]:
    """Count an attempt to sign in with this name; what it was counted in. Raises `SignInsSlowed`; then it is in none.

    `browser` is the known one that it comes from, if this account was signed in there.
    """
    windows = _windows(name, address, browser)
    try:
        with transaction.atomic():
            for window in windows:
                count_in(window)
    except _Full as full:
        rows = SignInWindow.objects.filter(about=full.window.about)
        is_first = bool(rows.filter(is_told=False).update(is_told=True))
        raise SignInsSlowed(full.window.bound, opens_in=_opens_in(full.window), is_first=is_first) from None
    return windows


def give_back(windows: tuple[Window, ...]) -> None:
    """The password was right: what was counted of the attempt does not count."""
    SignInWindow.objects.filter(about__in=[window.about for window in windows], count__gt=0).update(
        count=F("count") - 1
    )


def count_record() -> int | None:
    """Count one more refused sign-in that the audit is to hold; how many more it has room for. None: for not one."""
    window = Window.of(OF_RECORDS, "")
    try:
        count_in(window)
    except _Full:
        return None
    return window.bound.count - SignInWindow.objects.get(about=window.about).count


def count_in(window: Window) -> None:
    """Raises when it is full. A compare-and-set UPDATE decides, so that any number of processes are exact together."""
    if _add(window):
        return
    # The very first. Of several at once one inserts the row, and the others wait for that one's end.
    new = SignInWindow(about=window.about, began_at=_LONG_AGO)
    SignInWindow.objects.bulk_create([new], ignore_conflicts=True)
    if not _add(window):
        raise _Full(window)


def forget_windows() -> int:
    """Delete a batch of windows that are long over; how many these were."""
    over = SignInWindow.objects.filter(began_at__lt=Now() - FORGOTTEN_AFTER).values_list("about", flat=True)
    return SignInWindow.objects.filter(about__in=list(over[:FORGOTTEN_AT_ONCE])).delete()[0]


def _windows(name: str, address: str | None, browser: str | None) -> tuple[Window, ...]:
    """In the order of their locks."""
    account = unicodedata.normalize("NFKC", name)
    if browser is not None:
        return (Window.of(OF_BROWSER, f"{browser} {account}"),)
    of_address = () if address is None else (Window.of(OF_ADDRESS, _network_of(address)),)
    return (*of_address, Window.of(OF_ACCOUNT, account))


def _network_of(address: str) -> str:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((ip, IPV6_NETWORK), strict=False))
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def _add(window: Window) -> bool:
    is_over = Q(began_at__lte=Now() - timedelta(seconds=window.bound.seconds))
    with_room = SignInWindow.objects.filter(is_over | Q(count__lt=window.bound.count), about=window.about)
    return bool(
        with_room.update(
            count=Case(When(is_over, then=Value(1)), default=F("count") + 1),
            is_told=Case(When(is_over, then=Value(value=False)), default=F("is_told")),
            began_at=Case(When(is_over, then=Now()), default=F("began_at")),
        )
    )


def _opens_in(window: Window) -> int:
    now = Now(output_field=DateTimeField())
    row = SignInWindow.objects.filter(about=window.about).values_list("began_at", now).first()
    left = timedelta() if row is None else row[0] + timedelta(seconds=window.bound.seconds) - row[1]
    return max(1, ceil(left.total_seconds()))
