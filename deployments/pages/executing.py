"""The execute dialog: an input, and the execution of it while it runs."""

import json
from typing import Any

from access.pages import Page, is_part
from access.rights import RIGHTS
from deployments.api.example_inputs import example_input
from deployments.models import Deployment, ExecutionLog
from deployments.models.execution import NEWEST_FIRST
from deployments.pages.graphs import graph_of
from designs.samples import sample_inputs
from executor.json_types import Json, JsonObject

RECENT_INPUTS = 5
#: A larger input is not offered again: it would be fetched with every dialog.
MOST_CHARACTERS = 50_000


class ExecuteDialog(Page):
    """Asked for by htmx it is a dialog, else a page of its own: what a reload of the dialog's address shows."""

    verbs = RIGHTS["deployment"]["execute"]

    def get_template_names(self) -> list[str]:
        return [f"deployments/execute_{'dialog' if is_part(self.request) else 'page'}.html"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        rows = Deployment.objects.live().select_related("version")
        deployment = self.find(rows, id=self.kwargs["deployment_id"])
        setup = json.dumps(self._setup(deployment))
        return super().get_context_data(deployment=deployment, setup=setup, **kwargs)

    def _setup(self, deployment: Deployment) -> JsonObject:
        document = deployment.version.document
        executions = ExecutionLog.objects.filter(deployment=deployment)
        followed = executions.visible_to(self.principal, *RIGHTS["execution"]["events"])
        mine = followed.unfinished().filter(triggered_by=self.principal.label, trigger_type="manual")
        running = mine.order_by(*NEWEST_FIRST).values_list("id", flat=True).first()
        return {
            "schema": document.get("input_schema") or {"type": "object"},
            "graph": graph_of(document),
            "inputs": [*_recent_inputs(executions.visible_to(self.principal)), *_examples(document)],
            "running": None if running is None else str(running),
        }


def _recent_inputs(executions: Any) -> list[Json]:
    """What the last executions were given, each input once."""
    inputs: dict[str, Json] = {}
    newest = executions.order_by(*NEWEST_FIRST).values_list(
        "input_data", "created_at", "trigger_type", "payload_removed_at"
    )
    for value, created_at, trigger_type, removed_at in newest[:RECENT_INPUTS]:
        written = json.dumps(value)
        if removed_at is None and len(written) <= MOST_CHARACTERS:
            label = f"Execution of {created_at:%d %b %Y, %H:%M:%S} UTC ({trigger_type})"
            inputs.setdefault(written, {"label": label, "value": value})
    return list(inputs.values())


def _examples(document: JsonObject) -> list[Json]:
    given = sample_inputs(document) or (example_input(document.get("input_schema")),)  # type: ignore[arg-type] # checked when it was saved
    return [
        {"label": f"Example {number}" if len(given) > 1 else "Example", "value": value}
        for number, value in enumerate(given, 1)
    ]
