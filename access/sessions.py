"""Who is signed in with a session, asked for many of them at once: for connections that outlive their request."""

import re
from collections.abc import Collection, Iterator

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

#: What Django makes them of. Anything else is nobody's, and not looked up: PostgreSQL would not even take a NUL, which
#: a cookie can hold.
_SESSION_KEY = re.compile("[a-z0-9]{32}")


def is_session_key(text: str) -> bool:
    """Whether it can be the key of a session."""
    return _SESSION_KEY.fullmatch(text) is not None


def users_of_sessions(session_keys: Collection[str]) -> dict[str, User]:
    """The active user of each session that is signed in. Two queries, however many are asked for.

    As in Django's own middleware a session counts until it is flushed or expires, or the user's password changes.
    """
    named = [key for key in session_keys if is_session_key(key)]
    sessions = Session.objects.filter(session_key__in=named, expire_date__gt=timezone.now())
    signed_in = {session.session_key: session.get_decoded() for session in sessions}
    ids = {str(data[SESSION_KEY]) for data in signed_in.values() if SESSION_KEY in data}
    users = {str(user.pk): user for user in User.objects.filter(pk__in=ids, is_active=True)} if ids else {}
    return {
        key: users[data[SESSION_KEY]]
        for key, data in signed_in.items()
        if data.get(SESSION_KEY) in users and _is_of(data, users[data[SESSION_KEY]])
    }


def _is_of(data: dict[str, str], user: User) -> bool:
    is_ours = data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
    given = data.get(HASH_SESSION_KEY, "")
    return is_ours and any(constant_time_compare(given, valid) for valid in _hashes_of(user))


def _hashes_of(user: User) -> Iterator[str]:
    yield user.get_session_auth_hash()
    yield from user.get_session_auth_fallback_hash()
