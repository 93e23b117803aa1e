"""The entries of beat's tables that are not ours, run as the stock scheduler runs them, and in nobody's way.

What the stock one would make our schedules pay for is otherwise here: it waits for a broker that is away, one entry
that cannot be read ends it, and what it has run it writes down minutes later.
"""

import logging
import queue
import threading
from typing import Any

from django.db.models import Q, QuerySet
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from deployments.scheduling.entries import FIRE_SCHEDULE

log = logging.getLogger(__name__)


class ForeignEntry(ModelEntry):  # type: ignore[misc] # it ships no types
    """An entry that stores what it has run and nothing else: the stock one writes every column, and undoes edits."""

    def save(self) -> None:
        row = type(self.model)._default_manager.filter(pk=self.model.pk, enabled=True)  # noqa: SLF001 - Django's documented API
        row.update(last_run_at=self.model.last_run_at, total_run_count=self.model.total_run_count)


class ForeignEntries(DatabaseScheduler):  # type: ignore[misc] # it ships no types
    """The stock scheduler without our entries. `run_foreign_entries` is its tick."""

    Entry = ForeignEntry
    #: The stock one connects to the broker here, and waits until it is there.
    producer = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._outbox: queue.SimpleQueue[ModelEntry] = queue.SimpleQueue()
        self._sender: threading.Thread | None = None
        super().__init__(*args, **kwargs)

    def run_foreign_entries(self) -> float:
        """Run what is due; the seconds until the next call. What was run is stored before anything else is."""
        pause = float(super().tick())
        self.sync()
        return pause

    def forget_foreign_entries(self) -> None:
        """Read them again before the next one runs."""
        self._dirty.clear()
        self._initial_read = True
        self._heap = None

    def enabled_models_qs(self) -> "QuerySet[Any]":
        """The entries that are not ours: those fire from their own table."""
        entries: QuerySet[Any] = super().enabled_models_qs()
        return entries.exclude(task=FIRE_SCHEDULE)

    def all_as_schedule(self) -> dict[str, ModelEntry]:
        """The entries by their names, but for those that cannot be read."""
        entries: dict[str, ModelEntry] = {}
        for model in self.enabled_models():
            try:
                entries[model.name] = self.Entry(model, app=self.app)
            except Exception as error:  # noqa: BLE001 - whatever beat's own parsers raise
                log.error("The entry %r of beat's tables never runs: %r", model.name, error)  # noqa: TRY400 - no fault of ours
        return entries

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Have the entry's task sent, without waiting for the broker."""
        if self._sender is None or not self._sender.is_alive():
            self._sender = threading.Thread(target=self._send, name="foreign-entries", daemon=True)
            self._sender.start()
        self._outbox.put(entry)

    def should_sync(self) -> bool:
        """Never later: `run_foreign_entries` has done it."""
        return False

    def _send(self) -> None:
        while True:
            super().apply_entry(self._outbox.get())

    def _get_crontab_exclude_query(self) -> Q:
        # The stock one loads an entry of a fixed hour only around that hour, and so fires a missed one a day later.
        return Q(pk__in=())
