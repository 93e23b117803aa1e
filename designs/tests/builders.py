"""Documents, people and clients for tests."""

from typing import Any

from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from access.models import Team
from access.principal import Verb
from access.principal_of import PERMISSION_OF
from executor.json_types import JsonObject


def document(name: Any = "Greeter", **changes: Any) -> JsonObject:
    """The smallest design that runs: one sequential block of one agent."""
    agent: JsonObject = {"id": "writer", "name": "Writer", "system_prompt": "Be brief."}
    block: JsonObject = {
        "id": "greet",
        "type": "sequential",
        "data": {"label": "Greet", "task": "Greet {{input.name}}.", "agents": [agent]},
    }
    return {"format": 1, "name": name, "description": "Greets.", "blocks": [block], "connections": [], **changes}


def make_person(name: str, *verbs: Verb, team: str = "default") -> User:
    """A user in the team with these rights."""
    user = User.objects.create_user(name)
    user.groups.add(Team.objects.get_or_create(name=team)[0])
    for verb in verbs:
        user.user_permissions.add(Permission.objects.get(codename=PERMISSION_OF[verb].removeprefix("access.")))
    return user


def client_of(user: User) -> APIClient:
    """A client that is signed in."""
    client = APIClient()
    client.force_login(user)
    return client
