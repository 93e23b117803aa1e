"""Fixtures: people who look at pages, each with a client of their own."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from access.models import Team
from orchestration_site.tests.sites import Site

#: Makes a client that is signed in as a new member of the team, who has these rights in it.
SignIn = Callable[..., Client]


@pytest.fixture
def sign_in(db: None) -> SignIn:
    def sign_in(name: str = "ann", *, team: Group | None = None, rights: tuple[str, ...] = ("view_objects",)) -> Client:
        user = User.objects.create_user(name)
        user.user_permissions.add(*Permission.objects.filter(codename__in=rights))
        user.groups.add(team or Team.default())
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def reader(sign_in: SignIn) -> Client:
    """Somebody of the default team who may view and execute."""
    return sign_in(rights=("view_objects", "execute_deployments"))


@pytest.fixture
def scripted(embedded_site: Site) -> Iterator[Site]:
    """The site that is visited, whose provider a test may script."""
    yield embedded_site
    embedded_site.provider.script = None
