"""The in-memory journal keeps the promises of every journal."""

from collections.abc import Sequence

import pytest

from executor.events import RecordedEvent
from executor.journal import InMemoryJournal, Journal
from executor.tests.journal_contract import JournalContract, JournalFactory


class InMemoryJournals:
    """In memory, all that is appended is as durable as it gets."""

    async def open(self, recorded: Sequence[RecordedEvent]) -> InMemoryJournal:
        return InMemoryJournal(recorded)

    async def durable(self, journal: Journal) -> list[RecordedEvent]:
        assert isinstance(journal, InMemoryJournal)
        return list(journal.events)


class TestInMemoryJournal(JournalContract):
    @pytest.fixture
    def journals(self) -> JournalFactory:
        return InMemoryJournals()
