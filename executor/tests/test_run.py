"""Running a design from a Python prompt."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from executor.budget import Limits
from executor.errors import InvalidDesign, InvalidInput, MalformedDesign
from executor.events import Delta, RecordedEvent
from executor.journal import InMemoryJournal
from executor.json_types import JsonObject
from executor.run import run_design, run_design_sync
from executor.tests.models import ScriptedModels, refused

DOCUMENT: JsonObject = {
    "format": 1,
    "name": "Two steps",
    "input_schema": {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    },
    "blocks": [
        {
            "id": "first",
            "type": "sequential",
            "data": {"label": "First", "task": "Summarise {{input.text}}", "agents": [{"id": "a", "name": "Ann"}]},
        },
        {
            "id": "second",
            "type": "reflection",
            "data": {
                "label": "Second",
                "task": "Improve it.",
                "agents": [{"id": "w", "name": "Wanda"}, {"id": "c", "name": "Carl", "role": "reflector"}],
            },
        },
    ],
    "connections": [{"id": "c1", "source": "first", "target": "second"}],
}
REVIEW = json.dumps({"criteria": [{"name": "clear", "score": 0.9}], "feedback": []})
INPUT: JsonObject = {"text": "Rain fell all day."}

IN_A_FRESH_PROCESS = """
import json, sys
from executor.run import run_design_sync
document = json.loads(sys.stdin.read())
result = run_design_sync(document, {"text": "Rain fell all day. The river rose. People moved to the hills."})
frameworks = {"django", "rest_framework", "celery", "channels", "kombu"}
print(json.dumps({
    "status": result.status,
    "result": result.result_data(),
    "frameworks": sorted(frameworks & {name.partition(".")[0] for name in sys.modules}),
}))
"""


def agents_answer(_: str, request: Any) -> str:
    return "Rain." if request.output_schema is None else REVIEW


def test_a_design_runs_without_django_keys_or_settings() -> None:
    kept = {name: value for name, value in os.environ.items() if "DJANGO" not in name and not name.endswith("_API_KEY")}
    finished = subprocess.run(  # noqa: S603 - this interpreter, on the program above
        [sys.executable, "-c", IN_A_FRESH_PROCESS],
        input=json.dumps(DOCUMENT),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=kept,
    )
    assert finished.returncode == 0, finished.stderr
    said = json.loads(finished.stdout)
    assert said["status"] == "completed"
    assert said["frameworks"] == []
    assert set(said["result"]["blocks"]) == {"first", "second"}
    assert said["result"]["output"] == said["result"]["blocks"]["second"]
    assert "river" in said["result"]["output"].lower()


async def test_events_and_text_are_seen_as_they_come() -> None:
    events: list[RecordedEvent] = []
    deltas: list[Delta] = []
    models = ScriptedModels(agents_answer)
    journal = InMemoryJournal()
    result = await run_design(
        DOCUMENT, INPUT, models=models, journal=journal, on_event=events.append, on_delta=deltas.append
    )
    assert (result.status, result.output) == ("completed", "Rain.")
    assert events == journal.events
    assert [events[0].event.type, events[-1].event.type] == ["execution.started", "execution.completed"]
    assert events[-1].event.payload["usage"] == result.usage.counts()


async def test_a_run_is_resumed_from_its_journal() -> None:
    models = ScriptedModels(agents_answer)
    journal = InMemoryJournal()
    whole = await run_design(DOCUMENT, INPUT, models=models, journal=journal)
    again, rest = ScriptedModels(agents_answer), InMemoryJournal(journal.events[:6])
    resumed = await run_design(DOCUMENT, INPUT, models=again, journal=rest)
    assert resumed == whole
    assert 0 < len(again.requests) < len(models.requests)

    ended = InMemoryJournal(journal.events)
    assert await run_design(DOCUMENT, INPUT, models=ScriptedModels({}), journal=ended) == whole
    assert ended.events == journal.events


async def test_limits_are_kept_and_the_failure_is_in_the_result() -> None:
    models = ScriptedModels(agents_answer)
    result = await run_design(DOCUMENT, INPUT, models=models, limits=Limits(max_calls=1))
    assert len(models.requests) == 1
    assert result.status == "failed"
    assert result.failure is not None
    assert (result.failure.code, result.failure.block_id) == ("budget_exceeded", "second")
    journal = InMemoryJournal()
    result = await run_design(DOCUMENT, INPUT, models=ScriptedModels(lambda *_: refused()), journal=journal)
    assert result.failure is not None
    last = journal.events[-1].event
    assert (last.type, last.payload["code"], last.payload["agent"]) == ("execution.failed", "provider_error", "Ann")


async def test_what_is_wrong_is_said_before_anything_runs() -> None:
    models = ScriptedModels(agents_answer)
    with pytest.raises(MalformedDesign):
        await run_design({"format": 1}, INPUT, models=models)
    blocks: Any = json.loads(json.dumps(DOCUMENT["blocks"]))
    blocks[1]["data"]["label"] = "First"
    with pytest.raises(InvalidDesign, match="label"):
        await run_design({**DOCUMENT, "blocks": blocks}, INPUT, models=models)
    with pytest.raises(InvalidInput, match="text"):
        await run_design(DOCUMENT, {}, models=models)
    assert models.requests == []


def test_the_environment_names_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: Any = json.loads(json.dumps(DOCUMENT["blocks"]))
    blocks[0]["data"]["agents"][0]["model"] = "openai:some-model"
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InvalidDesign, match="openai"):
        run_design_sync({**DOCUMENT, "blocks": blocks}, INPUT)


async def test_a_resumed_run_lists_the_calls_whose_outcome_nobody_knows() -> None:
    """They may be paid for twice, so they are named, with what stays reserved for them."""
    journal = InMemoryJournal()
    await run_design(DOCUMENT, INPUT, models=ScriptedModels(agents_answer), journal=journal)
    types = [entry.event.type for entry in journal.events]
    call = journal.events[types.index("agent.started")].event
    for length, unknown in ((types.index("agent.started") + 1, [call]), (types.index("agent.completed") + 1, [])):
        rest = InMemoryJournal(journal.events[:length])
        await run_design(DOCUMENT, INPUT, models=ScriptedModels(agents_answer), journal=rest)
        [resumed] = [entry.event for entry in rest.events if entry.event.type == "execution.resumed"]
        listed = [
            {"block_id": event.block_id, "agent": event.agent, "key": event.key, "reserved": event.payload["reserved"]}
            for event in unknown
        ]
        assert resumed.payload == {"unknown": listed}
