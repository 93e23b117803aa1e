"""What a re-run takes over: its parent's recorded results, copied into its own journal while it is accepted.

They are copies because retention may delete the parent. `executor.reuse` says what is copied, and how it is marked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from deployments.executions.journal import event_row, stream_recorded
from deployments.models import ExecutionEvent, ExecutionLog
from executor.json_types import JsonObject
from executor.reuse import START, Reuse

COPIED_AT_ONCE = 200


class ParentGone(Exception):
    """The execution that was to be run again is not there any more."""


@dataclass(frozen=True)
class Rerun:
    """Which execution is run again, from where, and what is reused of it."""

    parent_id: UUID
    start_from: str
    reuse: Reuse

    def hold_parent(self) -> None:
        """Lock the parent, so that it and its results stay until the transaction's end. Raises `ParentGone`."""
        parents = ExecutionLog.objects.filter(id=self.parent_id).select_for_update(no_key=True, of=("self",))
        found = parents.values_list("payload_removed_at").first()
        if found is None:
            raise ParentGone("This execution was deleted in the meantime.")
        if found[0] is not None and self.start_from != START:
            raise ParentGone("The results of this execution were removed in the meantime. Run it from start.")

    def about(self) -> JsonObject:
        """What the re-run's first event says: `reused` is what its own usage and cost leave out from the beginning."""
        reuse = self.reuse
        return {
            "parent": str(self.parent_id),
            "from": self.start_from,
            "reused": {"blocks": reuse.ended, "usage": reuse.usage.counts(), "cost": reuse.usage.cost_text()},
            "reusable_answers": len(reuse.offered),
        }

    def take_over(self, execution: ExecutionLog) -> None:
        """Copy what is reused into the execution's journal, behind its first event."""
        rows = self._rows(execution)
        while batch := list(islice(rows, COPIED_AT_ONCE)):
            ExecutionEvent.objects.bulk_create(batch)
            execution.seq = batch[-1].seq
        ExecutionLog.objects.filter(id=execution.id).update(seq=execution.seq)

    def _rows(self, execution: ExecutionLog) -> Iterator[ExecutionEvent]:
        seq = execution.seq
        for entry in stream_recorded(self.parent_id):
            event = self.reuse.take_over(entry, execution_id=str(self.parent_id), at=execution.created_at)
            if event is not None:
                seq += 1
                yield event_row(execution.id, seq, event)
