"""What the documents name is there: the files they link and mention, and what they tell to type."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from designs.samples import load_samples
from executor.document import parse_design
from executor.json_schema import validate_instance
from orchestration_site.environment import BASE_DIR, SECRET_FIELDS, Environment
from orchestration_site.tests.guides import DOCUMENTS
from orchestration_site.tests.references import problems_of

README = (BASE_DIR / "README.md").read_text()
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
MENTIONED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`", re.ASCII)
MAKE = re.compile(r"(?:^ {4}|`|\$\()make (?:-s )?([a-z][a-z-]*)", re.MULTILINE)
MANAGE = re.compile(r"manage\.py ([a-z_]+)")
VARIABLE = re.compile(r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`")
#: Words in capitals that are no variables of the environment.
OTHER_WORDS = {"ACCOUNT_KINDS", "CELERY_BEAT_SCHEDULER"}

by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(BASE_DIR)))


def targets_of_make() -> set[str]:
    rules = re.findall(r"^([a-z][a-z -]*):(?!=)", (BASE_DIR / "Makefile").read_text(), re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


@by_name
def test_every_link_leads_somewhere(document: Path) -> None:
    assert [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()] == []


@by_name
def test_every_file_that_is_mentioned_is_there(document: Path) -> None:
    mentioned = MENTIONED.findall(document.read_text())
    assert [path for path in mentioned if not (BASE_DIR / path).exists()] == []


@by_name
def test_every_test_and_name_that_is_mentioned_is_there(document: Path) -> None:
    assert [problem for problem in problems_of(document.read_text()) if "::" in problem] == []


@by_name
def test_every_command_that_is_to_be_typed_is_there(document: Path) -> None:
    text = document.read_text()
    assert set(MAKE.findall(text)) - targets_of_make() == set()
    assert set(MANAGE.findall(text)) - set(get_commands()) == set()


@by_name
def test_every_variable_that_is_mentioned_is_read(document: Path) -> None:
    known = variables() | OTHER_WORDS
    assert set(VARIABLE.findall(document.read_text())) - known == set()


def test_the_documents_name_what_is_to_be_checked() -> None:
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    assert {"run", "test", "key", "web", "worker", "beat", "migrate"} <= set(MAKE.findall(text))
    assert len(MENTIONED.findall(text)) > 30
    assert "docs/tutorial.md" in LINK.findall(text)


def test_the_index_leads_to_every_document() -> None:
    folder = BASE_DIR / "docs"
    led_to = {(folder / link).resolve() for link in LINK.findall((folder / "README.md").read_text())}
    assert {path for path in folder.rglob("*.md") if path.name != "README.md"} - led_to == set()


def test_the_engine_alone_runs_as_the_readme_shows() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", example],
        cwd=BASE_DIR,
        env=without_settings(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "order" in done.stdout


def test_the_call_of_the_readme_is_one_that_its_sample_takes() -> None:
    ((path, body),) = re.findall(r"/api/deployed/(\S+) \\\n.*?-d '(.*?)'", README, re.DOTALL)
    (sample,) = [sample for sample in load_samples() if sample.endpoint_path == path]
    assert validate_instance(parse_design(sample.document).input_schema or {}, json.loads(body)) == []


def variables() -> set[str]:
    """All that the site reads, in capitals."""
    files = {f"{name}_FILE".upper() for name in SECRET_FIELDS}
    return {name.upper() for name in Environment.model_fields} | files | {"ENV_FILE"}


def without_settings() -> dict[str, str]:
    """This process's environment without what the engine or the site would read."""
    ours = variables() | {"DJANGO_SETTINGS_MODULE"}
    return {name: value for name, value in os.environ.items() if name not in ours}
