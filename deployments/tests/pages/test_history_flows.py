"""What a person sees of a search that takes several steps, in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from orchestration_site.tests.browser import Visitor, accessibility_problems
from orchestration_site.tests.sites import Site

#: One execution, and after it more than two steps of others. By SQL: through the models it would take half a minute.
SEED = """
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from deployments.models import Deployment, ExecutionLog

one = Deployment.objects.select_related("version").first()

def add(by, at):
    return ExecutionLog.objects.create(
        team_id=one.team_id, deployment=one, design_id=one.design_id, version=one.version, status="completed",
        trigger_type="api", triggered_by=by, created_at=at, completed_at=at)

add("key:needle", timezone.now() - timedelta(days=2))
straw = add("key:straw", timezone.now())
columns = {field.column: field.column for field in ExecutionLog._meta.concrete_fields}
columns |= {"id": "lower(hex(randomblob(16)))", "created_at": "datetime(created_at, '-' || number || ' seconds')"}
with connection.cursor() as cursor:
    cursor.execute(
        "WITH RECURSIVE counted (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < 41000)"
        f" INSERT INTO deployments_executionlog ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
        " FROM deployments_executionlog, counted WHERE id = %s", [straw.id.hex])
"""
#: Nothing else is named by those two, or names them.
CLEAR = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("DELETE FROM deployments_executionlog WHERE triggered_by IN ('key:needle', 'key:straw')")
"""


@pytest.fixture
def haystack(embedded_site: Site) -> Iterator[None]:
    try:
        embedded_site.run_manage("shell", "--command", SEED)
        yield
    finally:
        embedded_site.run_manage("shell", "--command", CLEAR)


@pytest.mark.usefixtures("haystack")
def test_a_search_goes_on_by_itself_until_it_has_found_something(visitor: Visitor) -> None:
    page = visitor.go("/executions")
    search = page.get_by_label("Who, error or id")
    search.press_sequentially("NEEDLE")
    expect(page.get_by_text("Searched back to", exact=False)).to_be_visible()
    rows = page.get_by_role("region", name="Executions").get_by_role("row")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("key:needle")
    expect(page.get_by_text("Searched back to", exact=False)).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?search=NEEDLE$"))
    expect(page.get_by_text("Counted back to", exact=False)).to_be_visible()
    assert accessibility_problems(page) == []
    search.fill("nowhere to be found")
    search.press("Enter")
    expect(page.get_by_text("No older execution matches.")).to_be_visible()
