"""The two doors with a password, the site's and the admin's: both are slow to guess at, and say when to try again."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from math import ceil
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.crypto import get_random_string

from access.origin import current_origin
from access.sign_in_limits import SignInsSlowed, count_attempt, give_back
from access.sign_ins import record_slowed_sign_ins

View = Callable[..., HttpResponseBase]

#: Names the account that a browser was signed in to. It opens nothing: its guesses are counted by themselves.
KNOWN_BROWSER: Final = "known_browser"
KNOWN_FOR_SECONDS: Final = 180 * 86_400
_SALT: Final = "access.known_browser"
_SLOWED_FOR: Final = "_sign_ins_slowed_for"


class _SlowSignIn(AuthenticationForm):
    """Looks at a password only where there is room for an attempt."""

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name is None or not password:
            return super().clean()
        try:
            counted = count_attempt(
                name=name, address=current_origin().address, browser=_known_browser(self.request, name)
            )
        except SignInsSlowed as slowed:
            record_slowed_sign_ins(slowed, name)
            setattr(self.request, _SLOWED_FOR, slowed.opens_in)
            raise forms.ValidationError(_sentence(slowed.opens_in), code="slowed") from None
        cleaned = super().clean()
        give_back(counted)
        return cleaned


class SignInForm(_SlowSignIn):
    """The form of the page."""


class AdminSignInForm(_SlowSignIn, AdminAuthenticationForm):
    """The admin's own: whoever is no staff is not let in."""


def answer_slowly(view: View) -> View:
    """For a view with one of these forms: 429 while there is no room, and a browser that was let in is known."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        slowed_for = getattr(request, _SLOWED_FOR, None)
        if slowed_for is not None:
            response.status_code = 429
            response["Retry-After"] = str(slowed_for)
        elif request.method == "POST" and response.status_code == 302 and request.user.is_authenticated:
            _remember_browser(request, response)
        return response

    return answer


def _known_browser(request: HttpRequest | None, name: str) -> str | None:
    """What this browser goes by, where this account was signed in from it."""
    try:
        text = "" if request is None else request.COOKIES.get(KNOWN_BROWSER, "")
        browser, account = signing.loads(text, salt=_SALT, max_age=KNOWN_FOR_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(browser) if account == name else None


def _remember_browser(request: HttpRequest, response: HttpResponseBase) -> None:
    name = request.user.get_username()
    browser = _known_browser(request, name) or get_random_string(22)
    response.set_cookie(
        KNOWN_BROWSER,
        signing.dumps([browser, name], salt=_SALT),
        max_age=KNOWN_FOR_SECONDS,
        secure=bool(settings.SESSION_COOKIE_SECURE),
        httponly=True,
        samesite="Lax",
    )


def _sentence(seconds: int) -> str:
    opens_at = timezone.now() + timedelta(seconds=seconds)
    wait = "a minute" if seconds <= 60 else f"{ceil(seconds / 60)} minutes"
    return (
        "Too many attempts to sign in with this name, or from where you are, were refused. Whether this password is"
        f" right was not looked at. Try again in {wait}, at {opens_at:%H:%M:%S} UTC."
    )
