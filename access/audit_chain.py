"""The chain over the audit: each day's records have a digest that holds the one before it.

Whoever changes, adds or removes a record of a sealed day has to change every digest after it; and one that an operator
has written down elsewhere shows that this was done. A day is sealed a while after its end, so that no record costs its
writer the wait for another's.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.models import AuditRecord, AuditSegment

#: What the first segment is chained to.
NOTHING_BEFORE = "0" * 64
#: No transaction that wrote a record of that day can be open any more.
SEALED_AFTER = dt.timedelta(hours=1)
_CHUNK = 1_000


@dataclass(frozen=True)
class Verification:
    """What verifying found. `last_digest` is the one to write down; `problems` is empty when all is as it was."""

    segments: int
    records: int
    unsealed: int
    last_digest: str
    problems: list[str] = field(default_factory=list)


def seal_days(*, now: dt.datetime | None = None) -> int:
    """Seal every day that is over and has records; how many these were. Any number of processes may do it at once."""
    sealed = 0
    until = ((now or timezone.now()) - SEALED_AFTER).astimezone(dt.UTC).date()
    while (day := _next_to_seal(until)) is not None:
        if not _seal(day):
            break
        sealed += 1
    return sealed


def verify_chain(*, expected: str | None = None) -> Verification:
    """Compute every digest again, from the records as they are now. `expected` is a digest that was written down."""
    problems: list[str] = []
    digest, records, segments, last_day, known = NOTHING_BEFORE, 0, 0, None, set()
    for segment in AuditSegment.objects.order_by("day").iterator(_CHUNK):
        if segment.previous_digest != digest:
            problems.append(f"{segment.day}: it is not chained to the day before it. A segment was removed or changed.")
        computed, count = _digest_of(segment.day, segment.previous_digest)
        if count != segment.records:
            problems.append(f"{segment.day}: there were {segment.records} records, and now there are {count}.")
        elif computed != segment.digest:
            problems.append(f"{segment.day}: a record was changed.")
        digest, records, segments, last_day = segment.digest, records + count, segments + 1, segment.day
        known.add(segment.digest)
    unsealed = AuditRecord.objects.all()
    if last_day is not None:
        unsealed = unsealed.filter(created_at__gte=_begin_of(last_day + dt.timedelta(days=1)))
    problems += _strangers(last_day)
    if expected is not None and expected not in known:
        problems.append(f"No day has the digest {expected}. The chain was made anew, or its end was cut off.")
    return Verification(segments, records, unsealed.count(), digest, problems)


def _next_to_seal(until: dt.date) -> dt.date | None:
    last = AuditSegment.objects.order_by("-day").values_list("day", flat=True).first()
    waiting = AuditRecord.objects.filter(created_at__lt=_begin_of(until))
    if last is not None:
        waiting = waiting.filter(created_at__gte=_begin_of(last + dt.timedelta(days=1)))
    first = waiting.order_by("created_at").values_list("created_at", flat=True).first()
    return None if first is None else first.astimezone(dt.UTC).date()


def _seal(day: dt.date) -> bool:
    """False when another process has sealed it in the meantime."""
    try:
        with transaction.atomic():
            last = AuditSegment.objects.order_by("-day").first()
            if last is not None and last.day >= day:
                return False
            previous = NOTHING_BEFORE if last is None else last.digest
            digest, count = _digest_of(day, previous)
            AuditSegment.objects.create(day=day, records=count, previous_digest=previous, digest=digest)
    except IntegrityError:  # two at once: the day is the primary key
        return False
    return True


def _digest_of(day: dt.date, previous: str) -> tuple[str, int]:
    """The digest of a day's records as the database has them now, and how many they are."""
    digest, count = hashlib.sha256(f"{previous} {day.isoformat()}".encode()), 0
    for record in _records_of(day):
        digest.update(hashlib.sha256(canonical_form(record)).digest())
        count += 1
    return digest.hexdigest(), count


def canonical_form(record: AuditRecord) -> bytes:
    """All of a record, in one way of writing it: JSON with its keys in order and no spaces, times in UTC."""
    values = {column.attname: getattr(record, column.attname) for column in AuditRecord._meta.concrete_fields}  # noqa: SLF001 - Django's documented API
    values["created_at"] = record.created_at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def _records_of(day: dt.date) -> Iterator[AuditRecord]:
    begin = _begin_of(day)
    return (
        AuditRecord.objects.filter(created_at__gte=begin, created_at__lt=begin + dt.timedelta(days=1))
        .order_by("id")
        .iterator(_CHUNK)
    )


def _strangers(last_day: dt.date | None) -> list[str]:
    """Days before the last sealed one that have records and no segment: these records came later, or theirs is gone."""
    if last_day is None:
        return []
    sealed = set(AuditSegment.objects.values_list("day", flat=True))
    days = (
        AuditRecord.objects.filter(created_at__lt=_begin_of(last_day))
        .datetimes("created_at", "day", tzinfo=dt.UTC)
        .order_by()
    )
    return [f"{day.date()}: it has records, and no segment." for day in days.distinct() if day.date() not in sealed]


def _begin_of(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
