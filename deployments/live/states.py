"""How far executions are, as their rows say."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from deployments.models import ExecutionLog
from deployments.models.execution import TERMINAL_STATUSES

#: Rows that are asked for at a time: SQL has room for so many parameters, and for more.
ASKED_AT_ONCE = 500


class State(NamedTuple):
    """The last seq of the journal, and whether it is the last for ever."""

    last_seq: int
    has_ended: bool


def read_states(execution_ids: Sequence[UUID]) -> dict[UUID, State]:
    """The state of each execution. One that is not there any more has ended."""
    states = dict.fromkeys(execution_ids, State(0, has_ended=True))
    for start in range(0, len(execution_ids), ASKED_AT_ONCE):
        rows = ExecutionLog.objects.filter(id__in=execution_ids[start : start + ASKED_AT_ONCE])
        for execution_id, seq, status in rows.values_list("id", "seq", "status"):
            states[execution_id] = State(seq, has_ended=status in TERMINAL_STATUSES)
    return states
