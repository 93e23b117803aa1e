"""What `docs/commands.md` tells to type runs as it stands."""

import json
import shlex
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from access.models import Team
from deployments.tests.builders import make_queued
from orchestration_site.environment import BASE_DIR
from orchestration_site.first_visit import deploy_samples


def examples() -> list[str]:
    text = (BASE_DIR / "docs/commands.md").read_text()
    return [line.strip() for line in text.splitlines() if line.startswith("    .venv/bin/python manage.py ")]


@pytest.mark.django_db(transaction=True)
def test_the_examples_of_the_document_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deploy_samples(Team.default())
    execution = make_queued()
    commands = [shlex.split(line.replace("$EXECUTION", str(execution.id)))[2:] for line in examples()]
    ours = {"deploy", "execute", "cancel", "pause", "resume", "export", "import", "workers"}
    assert {words[0] for words in commands} == ours | {"doctor"}
    for words in commands:
        if words[0] in ours:  # doctor's are run where there is an installation: test_doctor.py
            call_command(*words, stdout=StringIO(), stderr=StringIO())
    execution.refresh_from_db()
    assert execution.status == "cancelled"
    assert len(json.loads((tmp_path / "two.json").read_text())["designs"]) == 2
