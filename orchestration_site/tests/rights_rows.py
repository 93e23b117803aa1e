"""A row for every route of the site: what it does in the table of rights, and a request that does it.

`{deployment}` and its like stand for the ids of one team's things: `orchestration_site.tests.rights_callers.Things`.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from access.principal import Verbs
from access.rights import RIGHTS
from deployments.tests.builders import one_agent_document


@dataclass(frozen=True)
class Row:
    """A request, what it is in the table, and how it is answered where that allows it."""

    kind: str
    action: str
    address: str
    ok: int = 200
    body: Any = None
    #: How a thing of another team in the body is answered; in the address it is a 404.
    hidden: int = 404
    #: Rights that are needed besides: nobody gives a key more than they have.
    also: Verbs = ()
    #: Whether it makes something of the whole team's, which a key for some deployments never does.
    makes: bool = False
    #: Which of the things the answer lists, where it lists things.
    lists: str = ""

    @property
    def verbs(self) -> Verbs:
        return RIGHTS[self.kind][self.action]

    @property
    def names_a_thing(self) -> bool:
        of_this = re.search(r"\{(?!sample)[a-z]+\}", f"{self.address} {self.body}") is not None
        return of_this and not self.lists


_DOCUMENT: Final = one_agent_document()
_ALERT: Final = {"kind": "webhook", "url": "https://example.com/hook", "events": ["execution.failed"]}
_ACCOUNT: Final = {"name": "acme", "kind": "openai"}

#: By method and name of the route; what follows a `#` is one more request of the same route.
REST: Final[dict[str, Row]] = {
    "GET api-root": Row("site", "read_root", "/api/"),
    "GET endpoint-path": Row("site", "check_endpoint_path", "/api/endpoint-paths?path=free"),
    "POST schedule-preview": Row("site", "preview_schedule", "/api/schedules/preview", body={"interval_seconds": 60}),
    "GET design-list": Row("design", "list", "/api/designs", lists="design"),
    "POST design-list": Row("design", "create", "/api/designs", 201, _DOCUMENT, makes=True),
    "POST design-validate": Row("design", "validate", "/api/designs/validate", body=_DOCUMENT, makes=True),
    "GET design-detail": Row("design", "retrieve", "/api/designs/{design}"),
    "PUT design-detail": Row("design", "update", "/api/designs/{design}", body=_DOCUMENT),
    "PATCH design-detail": Row("design", "partial_update", "/api/designs/{design}", body={"name": "New"}),
    "DELETE design-detail": Row("design", "destroy", "/api/designs/{draft}", 204),
    "GET design-export": Row("design", "export", "/api/designs/{design}/export"),
    "GET design-versions": Row("design", "versions", "/api/designs/{design}/versions"),
    "GET design-version": Row("design", "version", "/api/designs/{design}/versions/1"),
    "POST design-execute": Row("design", "execute", "/api/designs/{design}/execute", 202, {}),
    "GET provider-list": Row("provider", "list", "/api/providers", lists="provider"),
    "POST provider-list": Row("provider", "create", "/api/providers", 201, _ACCOUNT, makes=True),
    "GET provider-detail": Row("provider", "retrieve", "/api/providers/{provider}"),
    "PUT provider-detail": Row("provider", "update", "/api/providers/{provider}", body=_ACCOUNT),
    "PATCH provider-detail": Row("provider", "partial_update", "/api/providers/{provider}", body={"name": "new"}),
    "DELETE provider-detail": Row("provider", "destroy", "/api/providers/{provider}", 204),
    "GET deployment-list": Row("deployment", "list", "/api/deployments", lists="deployment"),
    "POST deployment-list": Row(
        "deployment",
        "create",
        "/api/deployments",
        201,
        {"design_id": "{design}", "endpoint_path": "new"},
        hidden=422,
        makes=True,
    ),
    "GET deployment-detail": Row("deployment", "retrieve", "/api/deployments/{deployment}"),
    "PUT deployment-detail": Row("deployment", "update", "/api/deployments/{deployment}", body={"status": "inactive"}),
    "PATCH deployment-detail": Row("deployment", "partial_update", "/api/deployments/{deployment}", body={}),
    "PATCH deployment-detail#version": Row(
        "deployment", "change_version", "/api/deployments/{deployment}", body={"version": 1}, also=("change",)
    ),
    "DELETE deployment-detail": Row("deployment", "destroy", "/api/deployments/{deployment}", 204),
    "POST deployment-execute": Row("deployment", "execute", "/api/deployments/{deployment}/execute", 202, {}),
    "GET deployment-logs": Row("deployment", "logs", "/api/deployments/{deployment}/logs"),
    "GET deployment-daily-use": Row("deployment", "daily_use", "/api/deployments/{deployment}/daily-use"),
    "GET deployment-retention": Row("deployment", "retention", "/api/deployments/{deployment}/retention"),
    "GET deployment-log": Row("deployment", "log", "/api/deployments/{deployment}/logs/{execution}"),
    "GET deployment-schedule-preview": Row("schedule", "preview", "/api/deployments/{deployment}/schedule/preview"),
    "POST deployment-schedule-pause": Row("schedule", "pause", "/api/deployments/{deployment}/schedule/pause", body={}),
    "POST deployment-schedule-resume": Row(
        "schedule", "resume", "/api/deployments/{deployment}/schedule/resume", body={}
    ),
    "POST deployment-schedule-run": Row("schedule", "run", "/api/deployments/{deployment}/schedule/run", 202, {}),
    "GET deployment-alert-list": Row("alert", "list", "/api/deployments/{deployment}/alerts"),
    "POST deployment-alert-list": Row("alert", "create", "/api/deployments/{deployment}/alerts", 201, _ALERT),
    "GET deployment-alert-detail": Row("alert", "retrieve", "/api/deployments/{deployment}/alerts/{alert}"),
    "PATCH deployment-alert-detail": Row(
        "alert", "partial_update", "/api/deployments/{deployment}/alerts/{alert}", body={"enabled": True}
    ),
    "PATCH deployment-alert-detail#result": Row(
        "alert",
        "partial_update",
        "/api/deployments/{deployment}/alerts/{alert}",
        body={"includes_result": True},
        also=("view",),
    ),
    "DELETE deployment-alert-detail": Row("alert", "destroy", "/api/deployments/{deployment}/alerts/{alert}", 204),
    "POST deployment-alert-rotate-secret": Row(
        "alert", "rotate_secret", "/api/deployments/{deployment}/alerts/{alert}/rotate-secret", body={}
    ),
    "POST deployment-alert-test": Row("alert", "test", "/api/deployments/{deployment}/alerts/{alert}/test", 202, {}),
    "GET deployment-alert-deliveries": Row(
        "alert", "deliveries", "/api/deployments/{deployment}/alerts/{alert}/deliveries"
    ),
    "GET deployment-alert-delivery": Row(
        "alert", "delivery", "/api/deployments/{deployment}/alerts/{alert}/deliveries/{delivery}"
    ),
    "POST deployment-alert-resend": Row(
        "alert", "resend", "/api/deployments/{deployment}/alerts/{alert}/deliveries/{delivery}/resend", 202, {}
    ),
    "GET endpoint": Row("deployment", "describe", "/api/deployed/{path}"),
    "POST endpoint": Row("deployment", "call", "/api/deployed/{path}", 202, {}),
    "GET endpoint-openapi": Row("deployment", "describe", "/api/deployed/{path}/openapi.json"),
    "GET execution-list": Row("execution", "list", "/api/executions", lists="execution"),
    "GET execution-export": Row("execution", "export", "/api/executions/export"),
    "GET execution-detail": Row("execution", "retrieve", "/api/executions/{execution}"),
    "GET execution-events": Row("execution", "events", "/api/executions/{execution}/events"),
    "POST execution-cancel": Row("execution", "cancel", "/api/executions/{execution}/cancel", 202),
    "POST execution-rerun": Row("execution", "rerun", "/api/executions/{ended}/rerun", 201, {"from": "start"}),
    "GET audit-list": Row("audit", "list", "/api/audit", lists="key"),  # what was done to it
    "GET audit-detail": Row("audit", "retrieve", "/api/audit/{record}"),
    "GET key-list": Row("key", "list", "/api/keys", lists="key"),
    "POST key-list": Row(
        "key", "create", "/api/keys", 201, {"name": "new", "scopes": ["read"]}, also=("view",), makes=True
    ),
    "POST key-list#deployment": Row(
        "key",
        "create",
        "/api/keys",
        201,
        {"name": "new", "scopes": ["read"], "deployments": ["{deployment}"]},
        hidden=422,
        also=("view",),
    ),
    "GET key-detail": Row("key", "retrieve", "/api/keys/{key}"),
    "GET key-daily-use": Row("key", "daily_use", "/api/keys/{key}/daily-use"),
    "POST key-rotate": Row("key", "rotate", "/api/keys/{key}/rotate", body={}, also=("view",)),
    "DELETE key-detail": Row("key", "destroy", "/api/keys/{key}", 204),
}

#: By the name of the page, asked for as htmx does.
PAGES: Final[dict[str, Row]] = {
    "deployments": Row("deployment", "list", "/", lists="deployment"),
    "deployment-cards": Row("deployment", "list", "/deployments/cards?id={deployment}", lists="deployment"),
    "deploy-dialog": Row("design", "deploy", "/deployments/new", lists="design"),
    "deploy-dialog#design": Row("design", "deploy", "/deployments/new?design={design}"),
    "configure-dialog": Row("deployment", "partial_update", "/deployments/{deployment}/configure"),
    "alert-log": Row("alert", "deliveries", "/deployments/{deployment}/alerts/{alert}/log"),
    "call-dialog": Row("deployment", "describe", "/deployments/{deployment}/call"),
    "retention-preview": Row("deployment", "retention", "/deployments/{deployment}/retention"),
    "delete-dialog": Row("deployment", "destroy", "/deployments/{deployment}/delete"),
    "version-differences": Row("deployment", "compare_versions", "/deployments/{deployment}/differences"),
    "designs": Row("design", "list", "/designs", lists="design"),
    "designer": Row("design", "retrieve", "/designs/{design}"),
    "draft-differences": Row("design", "version", "/designs/{design}/versions/1/differences"),
    "sample-document": Row("site", "read_samples", "/designs/samples/{sample}"),
    "execute-dialog": Row("deployment", "execute", "/deployments/{deployment}/execute"),
    "history-dialog": Row("deployment", "logs", "/deployments/{deployment}/history"),
    "executions": Row("execution", "list", "/executions", lists="execution"),
    "execution": Row("execution", "retrieve", "/executions/{execution}"),
}
#: Open to everybody: they show nothing of a team's.
OPEN: Final = {"sign-in", "sign-out", "schema", "docs"}

#: By the pattern of the socket's address.
SOCKETS: Final[dict[str, Row | None]] = {
    "executions": Row("execution", "events", "/ws/executions/{execution}"),
    "deployments": Row("deployment", "list", "/ws/deployments"),
    "": None,  # every other address: nothing is there, whoever asks
}

#: Of the admin's own routes: they show what the reader may see of each model, or the reader's own password.
ADMIN_FRAME: Final = {
    "index", "login", "logout", "password_change", "password_change_done", "autocomplete", "jsi18n", "view_on_site",
    "app_list",
}  # fmt: skip
#: The routes of a model in the admin, and the one of users besides.
ADMIN_PAGES: Final = {"changelist", "add", "change", "delete", "history", "password_change"}
