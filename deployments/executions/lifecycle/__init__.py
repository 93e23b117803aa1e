"""Every change of an execution's status: nothing else writes one.

Each is a compare-and-set UPDATE whose row count decides. Who locks several rows and waits for them takes execution
rows by id, then deployment rows by id (`lock_rows`); everyone else skips what is locked, or locks one row. Leases are
by the database's clock; the times people read are by the process's.
"""

from deployments.executions.lifecycle.accepting import accept, accept_all, release_follower
from deployments.executions.lifecycle.ending import (
    MAX_LOSSES,
    CancelOutcome,
    cancel_queued_of_deployment,
    fail_queued,
    reap,
    request_cancel,
)
from deployments.executions.lifecycle.fence import Ending, Fence, FenceLost
from deployments.executions.lifecycle.running import (
    Ended,
    advance,
    claim,
    count_ended,
    end_leases_of,
    finish,
    held,
    lock_rows,
    record,
    release,
    renew,
)

__all__ = [
    "MAX_LOSSES",
    "CancelOutcome",
    "Ended",
    "Ending",
    "Fence",
    "FenceLost",
    "accept",
    "accept_all",
    "advance",
    "cancel_queued_of_deployment",
    "claim",
    "count_ended",
    "end_leases_of",
    "fail_queued",
    "finish",
    "held",
    "lock_rows",
    "reap",
    "record",
    "release",
    "release_follower",
    "renew",
    "request_cancel",
]
