"""Sessions, CSRF, messages and headers work under ASGI as Django's own middleware makes them work."""

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import AsyncClient

from orchestration_site import async_middleware

LOGIN = "/admin/login/"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("ada", password="a long password")


async def sign_in(client: AsyncClient, **headers: str) -> int:
    await client.get(LOGIN)
    form = {"username": "ada", "password": "a long password", "csrfmiddlewaretoken": _token(client)}
    return (await client.post(LOGIN, form, headers=headers)).status_code


def _token(client: AsyncClient) -> str:
    return client.cookies[settings.CSRF_COOKIE_NAME].value


async def test_signing_in_makes_a_session_that_is_kept(admin: User) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    assert (await client.get("/admin/")).status_code == 302
    assert await sign_in(client) == 302
    assert client.cookies[settings.SESSION_COOKIE_NAME]["httponly"]
    assert (await client.get("/admin/")).status_code == 200


@pytest.mark.parametrize("cookie", ["\0aaaaaaaaaaaa", "x" * 5_000, "é", "'; --"])
@pytest.mark.parametrize("address", ["/admin/", "/api/deployments", "/sign-in"])
async def test_a_cookie_that_names_no_session_is_as_none(address: str, cookie: str) -> None:
    client = AsyncClient()
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie  # written with escapes, and read as it was
    assert (await client.get(address)).status_code == {"/admin/": 302, "/sign-in": 200}.get(address, 401)


async def test_what_is_made_for_a_session_is_kept_by_nobody(admin: User) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    await sign_in(client)
    for address in ("/executions", "/api/executions", "/api/keys?format=api"):
        directives = (await client.get(address))["Cache-Control"].split(", ")
        assert {"private", "no-store"} <= set(directives), address


async def test_a_form_without_its_token_is_refused(admin: User) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    answer = await client.post(LOGIN, {"username": "ada", "password": "a long password"})
    assert answer.status_code == 403


async def test_a_message_is_shown_on_the_next_page(admin: User) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    await sign_in(client)
    group = await sync_to_async(Group.objects.create)(name="gone soon")
    form = {"action": "delete_selected", "_selected_action": str(group.pk), "post": "yes"}
    form["csrfmiddlewaretoken"] = _token(client)
    answer = await client.post("/admin/access/team/", form, follow=True)
    assert b"Successfully deleted 1 team" in answer.content


async def test_headers_are_set() -> None:
    answer = await AsyncClient().get(LOGIN)
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


def test_tokens_live_in_a_cookie() -> None:
    """`InlineCsrfViewMiddleware` would block the event loop if they lived in the session."""
    assert not settings.CSRF_USE_SESSIONS
    assert async_middleware.InlineCsrfViewMiddleware.async_capable
