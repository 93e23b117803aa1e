"""A first start sets up what it can, and says in a sentence what it cannot."""

from io import StringIO

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from designs.models import OrchestrationDesign
from orchestration_site.first_visit import make_first_visit

pytestmark = [pytest.mark.django_db, pytest.mark.either_database]


def test_a_default_model_without_an_account_costs_the_samples_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = settings.ENVIRONMENT
    monkeypatch.setattr(settings, "ENVIRONMENT", usual.model_copy(update={"default_model": "openai:gpt-4o-mini"}))
    first_visit = make_first_visit(None)
    assert first_visit is not None
    assert (first_visit.samples, first_visit.password is not None) == ((), True)
    assert get_user_model().objects.get().is_superuser
    assert "no account 'openai'" in caplog.text
    assert "type: manage.py load_samples" in caplog.text
    assert not OrchestrationDesign.objects.exists()
    with pytest.raises(CommandError, match="no account 'openai'"):
        call_command("load_samples", stdout=StringIO())
