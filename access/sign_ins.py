"""Signing in and out, in the audit: Django says so by these signals, through whichever of its doors it was."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from access.audit import record_action

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
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented API
    name = str(credentials.get("username", ""))
    user = users.filter(username=name).first() if "\x00" not in name else None
    known = ("user", "" if user is None else user.pk)
    record_action("sign_in_refused", by=ANONYMOUS, team_id=None, on=known, label="" if user is None else str(user))
