"""Signing in and out, in the audit: Django says so by these signals, through whichever of its doors it was."""

import logging
from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from access.audit import record_action
from access.sign_in_limits import OF_RECORDS, SignInsSlowed, count_record

log = logging.getLogger(__name__)

ANONYMOUS = "anonymous"


@receiver(user_logged_in)
def record_sign_in(user: AbstractBaseUser, **_: Any) -> None:
    record_action("signed_in", by=f"user:{user.get_username()}", team_id=None, on=("user", user.pk), label=str(user))


@receiver(user_logged_out)
def record_sign_out(user: AbstractBaseUser | None, **_: Any) -> None:
    if user is not None:
        name = f"user:{user.get_username()}"
        record_action("signed_out", by=name, team_id=None, on=("user", user.pk), label=str(user))


@receiver(user_login_failed)
def record_refused_sign_in(credentials: dict[str, Any], **_: Any) -> None:
    """The name as it was typed only where it is somebody's: else it may be a password in the wrong field."""
    _record_refusal("sign_in_refused", _user_of(str(credentials.get("username", ""))), {})


def record_slowed_sign_ins(slowed: SignInsSlowed, name: str) -> None:
    """That attempts are refused unseen from now on: once for each window that is full, not for each attempt."""
    if slowed.is_first:
        bound = slowed.bound
        told = {"of": bound.kind, "attempts": bound.count, "seconds": bound.seconds}
        _record_refusal("sign_in_slowed", _user_of(name), told)


def _user_of(name: str) -> AbstractBaseUser | None:
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented API
    return users.filter(username=name).first() if "\x00" not in name else None


def _record_refusal(
    action: Literal["sign_in_refused", "sign_in_slowed"], user: AbstractBaseUser | None, told: dict[str, Any]
) -> None:
    """Whoever guesses must not fill the audit: of an hour it holds so many refusals, and the last one says so."""
    room = count_record()
    if room is None:
        log.warning("%s, and not in the audit: it has its %d refusals of this hour", action, OF_RECORDS.count)
        return
    if room == 0:
        told = {**told, "more": f"Those of the next {OF_RECORDS.seconds // 60} minutes at most are in the log alone."}
    known = ("user", "" if user is None else user.pk)
    label = "" if user is None else str(user)
    record_action(action, by=ANONYMOUS, team_id=None, on=known, label=label, details=told)
