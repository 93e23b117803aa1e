"""`run_design`: a design from the terminal, without a database."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from deployments.tests.builders import one_agent_document
from designs.samples import FOLDER


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "design.json"


def run(*words: str) -> tuple[Any, str]:
    """The result, and what was said beside it."""
    out, err = StringIO(), StringIO()
    call_command("run_design", *words, stdout=out, stderr=err)
    return json.loads(out.getvalue()), err.getvalue()


def write(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def test_a_bare_design_runs_on_an_input_file(file: Path) -> None:
    given = write(file.with_name("input.json"), {"name": "Ada Lovelace"})
    result, said = run(write(file, one_agent_document()), "--input", given)
    assert "Ada Lovelace" in result["output"]
    assert set(result) == {"output", "blocks", "usage", "cost"}
    assert said == ""


@pytest.mark.parametrize("sample", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_file_runs_on_its_first_input(sample: Path) -> None:
    result, _ = run(str(sample))
    assert result["output"]


def test_follow_shows_what_happens_in_order(file: Path) -> None:
    _, said = run(write(file, one_agent_document()), "--follow")
    places = [said.index(word) for word in ("block.started", "agent.started", "agent.completed", "execution.completed")]
    assert places == sorted(places)
    assert "Writer" in said


def test_what_a_model_says_commands_no_terminal(file: Path) -> None:
    hostile = "Ada\x1b[2J\x9b31m\x07"
    given = write(file.with_name("input.json"), {"name": hostile})
    out, err = StringIO(), StringIO()
    call_command("run_design", write(file, one_agent_document()), "--input", given, "--follow", stdout=out, stderr=err)
    for text in (out.getvalue(), err.getvalue()):
        assert not any(control in text for control in "\x1b\x9b\x07")
        assert "Ada" in text
    assert hostile in json.loads(out.getvalue())["output"]


@pytest.mark.parametrize(
    ("design", "sentence"),
    [
        ({"format": 1}, "cannot run"),
        (one_agent_document(model="nobody:model"), "/blocks/0/data/agents/0/model"),
        ([], "has to hold a JSON object"),
    ],
    ids=["malformed", "unknown model", "no object"],
)
def test_a_design_that_cannot_run_ends_with_a_sentence(file: Path, design: Any, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run(write(file, design))


def test_an_input_that_does_not_fit_ends_with_a_sentence(file: Path) -> None:
    document = one_agent_document() | {"input_schema": {"type": "object", "required": ["text"]}}
    given = write(file.with_name("input.json"), {})
    with pytest.raises(CommandError, match="/text"):
        run(write(file, document), "--input", given)


def test_files_that_cannot_be_read_end_with_a_sentence(file: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        run(str(file))
    file.write_text("{", encoding="utf-8")
    with pytest.raises(CommandError, match="is not JSON"):
        run(str(file))
    file.write_bytes(b"\xff\xfe{")
    with pytest.raises(CommandError, match="is not JSON"):
        run(str(file))
