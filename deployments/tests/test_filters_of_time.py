"""Lists that are filtered by time refuse what is no time, and what no time in UTC can be."""

import pytest

from deployments.api.filters import LogFilters
from deployments.models import ExecutionLog

pytestmark = pytest.mark.django_db

REFUSED = [
    ("created_after", "0001-01-01T00:00:00+14:00"),
    ("created_before", "9999-12-31T23:59:59-14:00"),
    ("created_before", "0001-01-01T00:00:00+00:01"),
    ("created_after", "yesterday"),
]


@pytest.mark.parametrize(("parameter", "value"), REFUSED)
def test_a_time_beyond_the_calendar_is_an_error_of_its_parameter(parameter: str, value: str) -> None:
    assert list(LogFilters({parameter: value}, queryset=ExecutionLog.objects.all()).errors) == [parameter]


@pytest.mark.parametrize(
    "value", ["", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00+14:00", "2026-01-01T00:00:00"]
)
def test_a_time_within_the_calendar_filters(value: str) -> None:
    filters = LogFilters({"created_after": value, "created_before": value}, queryset=ExecutionLog.objects.all())
    assert not filters.errors
    assert list(filters.qs) == []
