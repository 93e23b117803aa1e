"""The database's journal keeps every promise of the engine's journals, on whichever database the tests run."""

from collections.abc import Iterator, Sequence
from typing import cast

import pytest
from django.utils import timezone

from deployments.executions.database_threads import in_database_thread
from deployments.executions.journal import DatabaseJournal, read_recorded
from deployments.executions.lifecycle import Fence
from deployments.executions.writer import GroupCommitWriter
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.tests.builders import make_deployment, make_queued
from executor.events import RecordedEvent
from executor.journal import Journal
from executor.tests.journal_contract import JournalContract, JournalFactory


class DatabaseJournals:
    """Makes an execution for each journal. A new attempt's first flush claims it, as a worker's does."""

    def __init__(self, writer: GroupCommitWriter) -> None:
        self._writer = writer
        self._deployments = 0

    async def open(self, recorded: Sequence[RecordedEvent]) -> Journal:
        execution = await in_database_thread(self._make, recorded)
        return DatabaseJournal(
            fence=Fence(execution.id, execution.attempt + 1, "worker-a"),
            seq=execution.seq,
            deployment_id=execution.deployment_id,
            is_limited=False,
            started_at=timezone.now(),
            recorded=recorded,
            writer=self._writer,
        )

    async def durable(self, journal: Journal) -> list[RecordedEvent]:
        return await in_database_thread(read_recorded, cast(DatabaseJournal, journal).execution_id)

    def _make(self, recorded: Sequence[RecordedEvent]) -> ExecutionLog:
        self._deployments += 1
        execution = make_queued(make_deployment(f"d{self._deployments}"))
        if not recorded:
            return execution
        # A prefix of another journal's events, the accepted one with them, takes the place of this one's.
        ExecutionEvent.objects.filter(execution=execution).delete()
        ExecutionEvent.objects.bulk_create(
            ExecutionEvent(
                execution=execution,
                seq=entry.position,
                type=entry.event.type,
                block_id=entry.event.block_id or "",
                agent=entry.event.agent or "",
                key=entry.event.key or "",
                payload=entry.event.payload,
                at=entry.event.at,
            )
            for entry in recorded
        )
        ExecutionLog.objects.filter(id=execution.id).update(seq=recorded[-1].position, attempt=1)
        execution.refresh_from_db()
        return execution


@pytest.mark.django_db(transaction=True)
class TestDatabaseJournal(JournalContract):
    @pytest.fixture
    def journals(self) -> Iterator[JournalFactory]:
        writer = GroupCommitWriter()
        writer.start()
        yield DatabaseJournals(writer)
        writer.stop()
