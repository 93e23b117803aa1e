"""The page of one execution: how it ended and why, its graph, its time line, its trace, and running it again."""

import json
from typing import Any

from django.utils import timezone

from access.pages import Page
from access.rights import RIGHTS
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.models.execution import NEWEST_FIRST
from deployments.pages.graphs import graph_of, labels_of
from deployments.pages.trace import MOST_CHARACTERS, Trace, read_trace

MOST_RERUNS = 20


class ExecutionPage(Page):
    """One execution, as it is now. While it runs, the page follows it and asks again for its record."""

    template_name = "deployments/execution.html"
    verbs = RIGHTS["execution"]["retrieve"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        rows = ExecutionLog.objects.select_related("version", "design", "deployment", "parent")
        execution = self.find(rows, id=self.kwargs["execution_id"])
        document = execution.version.document
        events = ExecutionEvent.objects.filter(execution=execution).order_by("seq")
        trace = read_trace(events, labels_of(document), now=timezone.now())
        return super().get_context_data(
            execution=execution,
            trace=trace,
            states=json.dumps(trace.states()),
            graph=json.dumps(graph_of(document)),
            schema=json.dumps(document.get("input_schema") or {"type": "object"}),
            input_json=_written(execution.input_data),
            result_json=_written(_output_of(execution)),
            may_execute=self.principal.may_in(execution.team_id, "execute"),
            rerun_from=_places_to_rerun(execution, trace),
            reruns=self._reruns(execution),
            rerun=_difference(execution, trace),
            most_characters=MOST_CHARACTERS,
            **kwargs,
        )

    def _reruns(self, execution: ExecutionLog) -> list[ExecutionLog]:
        rows = execution.reruns.visible_to(self.principal, *self.verbs).without_payloads()
        return list(rows.order_by(*NEWEST_FIRST)[:MOST_RERUNS])


def _places_to_rerun(execution: ExecutionLog, trace: Trace) -> list[tuple[str, str]]:
    """What the API's `from` may be, with its words; the likeliest first."""
    if execution.payload_removed_at is not None:
        return [("start", "From the start, with the input that you give it here")]
    failed = [("failed", "From the failure: what succeeded is reused")]
    places = failed if execution.status in ("failed", "cancelled") else []
    blocks = [(block.id, f"From the block “{block.label}”") for block in trace.reached if block.state != "skipped"]
    return [*places, ("start", "From the start: everything runs again"), *blocks]


def _difference(execution: ExecutionLog, trace: Trace) -> dict[str, Any] | None:
    """What a re-run has otherwise than the execution that it runs again. None for one that is no re-run."""
    about = trace.about
    if "parent" not in about:
        return None
    parent = execution.parent
    has_input = parent is not None and parent.payload_removed_at is None
    reused = about.get("reused") or {}
    return {
        "parent_id": about["parent"],
        "parent": parent,
        "from": about.get("from"),
        "cost": reused.get("cost"),
        "usage": reused.get("usage") or {},
        "reused_blocks": [block for block in trace.reached if block.reused],
        "ran_blocks": [block for block in trace.reached if not block.reused],
        "reused_calls": sum(call.reused is not None for block in trace.reached for call in block.calls),
        "input_changed": parent.input_data != execution.input_data if parent and has_input else None,
        "parent_input": _written(parent.input_data) if parent and has_input else None,
    }


def _output_of(execution: ExecutionLog) -> Any:
    result = execution.result_data
    return result.get("output") if isinstance(result, dict) else result


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
