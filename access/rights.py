"""Who may do what: the one table that REST, pages, sockets, event streams and the admin read.

A row is what is done with a kind of object, and the rights of which any one suffices, held in that object's team. What
is done with no object (a list, something new) asks for the right in some team, and then shows, or makes, what is those
teams'. `docs/security.md` shows the table; a test asks every route of the site with every kind of caller.
"""

from collections.abc import Mapping
from typing import Final

from access.principal import Verbs

#: The rights of those who belong here at all.
ANY: Final[Verbs] = ("view", "execute", "change", "deploy", "manage_keys")

RIGHTS: Final[Mapping[str, Mapping[str, Verbs]]] = {
    "site": {
        "read_root": ANY,
        "check_endpoint_path": ("deploy",),
        "preview_schedule": ("view", "change", "deploy"),
        "read_samples": ("view",),
    },
    "design": {
        "list": ("view",),
        "retrieve": ("view",),
        "export": ("view",),
        "create": ("change",),
        "update": ("change",),
        "partial_update": ("change",),
        "destroy": ("change",),
        "validate": ("view",),
        "versions": ("view",),
        "version": ("view",),
        "execute": ("execute",),
        "deploy": ("deploy",),
    },
    "provider": {
        "list": ("view",),
        "retrieve": ("view",),
        "create": ("change",),
        "update": ("change",),
        "partial_update": ("change",),
        "destroy": ("change",),
    },
    "deployment": {
        "list": ("view",),
        "retrieve": ("view",),
        "create": ("deploy",),
        "update": ("change",),
        "partial_update": ("change",),
        "change_version": ("deploy",),
        "destroy": ("deploy",),
        "execute": ("execute",),
        "call": ("execute",),
        "describe": ("view", "execute"),
        "compare_versions": ("change", "view"),
        "logs": ("view",),
        "log": ("view",),
        "daily_use": ("view",),
        "retention": ("view", "change"),
    },
    "schedule": {
        "list": ("view",),
        "retrieve": ("view",),
        "preview": ("view",),
        "pause": ("change", "deploy"),
        "resume": ("change", "deploy"),
        "run": ("execute",),
    },
    # Who sees a target sees its address, which may be as good as a key.
    "alert": {
        "list": ("change",),
        "retrieve": ("change",),
        "create": ("change",),
        "partial_update": ("change",),
        "destroy": ("change",),
        "rotate_secret": ("change",),
        "test": ("change",),
        "deliveries": ("change",),
        "delivery": ("change",),
        "resend": ("change",),
    },
    "execution": {
        "list": ("view",),
        "retrieve": ("view", "execute"),
        "events": ("view", "execute"),
        "cancel": ("execute",),
        "rerun": ("execute",),
        "export": ("view",),
    },
    "audit": {
        "list": ("manage_keys",),
        "retrieve": ("manage_keys",),
    },
    "key": {
        "list": ("manage_keys",),
        "retrieve": ("manage_keys",),
        "create": ("manage_keys",),
        "update": ("manage_keys",),
        "rotate": ("manage_keys",),
        "destroy": ("manage_keys",),
        "daily_use": ("manage_keys",),
    },
}
