"""Pages of journals as viewers are sent them: already as text, bounded, and read once for all who are at one place."""

import asyncio
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from deployments.executions.database_threads import in_replay_thread
from deployments.live.messages import EVENT_COLUMNS, Message, message_of_row
from deployments.models import ExecutionEvent

#: A page ends with the event that passes either. It is what one viewer, however slow, holds in memory.
PAGE_EVENTS = 200
PAGE_CHARACTERS = 256 * 1024


class JournalPages:
    """The reads of one event loop. Viewers who ask for the same page at the same time share one query."""

    def __init__(self) -> None:
        self._reading: dict[tuple[UUID, int], asyncio.Task[list[Message]]] = {}

    async def read(self, execution_id: UUID, after: int) -> list[Message]:
        """The events after that seq, in order, as many as make a page.

        A read that was under way already may lack the latest of them: who knows of more asks again.
        """
        place = (execution_id, after)
        reading = self._reading.get(place)
        if reading is None:
            reading = asyncio.create_task(in_replay_thread(read_page, execution_id, after))
            self._reading[place] = reading
            reading.add_done_callback(lambda _: self._reading.pop(place))
        return await asyncio.shield(reading)


def read_page(execution_id: UUID, after: int) -> list[Message]:
    """The events after that seq, in order: at least one, if there is any, and as many as make a page."""
    rows = (
        ExecutionEvent.objects.filter(execution_id=execution_id, seq__gt=after)
        .order_by("seq")
        .annotate(payload_text=Cast("payload", TextField()))
        .values_list(*EVENT_COLUMNS)
    )
    page: list[Message] = []
    characters = 0
    for row in rows[:PAGE_EVENTS]:
        page.append(message_of_row(row))
        characters += len(page[-1].text)
        if characters >= PAGE_CHARACTERS:
            break
    return page
