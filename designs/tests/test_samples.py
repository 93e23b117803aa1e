"""The sample designs: sound, complete, and they run on the offline model with a result worth looking at."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from designs.samples import Sample, load_samples
from executor.events import RecordedEvent
from executor.providers.accounts import accounts_from_environment
from executor.providers.registry import ProviderRegistry
from executor.results import ExecutionResult
from executor.run import run_design_sync
from executor.schema_check import check_schema
from executor.validation import validate_design

SAMPLES = {sample.endpoint_path: sample for sample in load_samples()}
RUNS = [(name, number) for name, sample in SAMPLES.items() for number in range(len(sample.inputs))]


@pytest.fixture(params=list(SAMPLES.values()), ids=list(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Sample:
    found: Sample = request.param
    return found


def offline() -> ProviderRegistry:
    return ProviderRegistry(accounts_from_environment({}))


def run(name: str, number: int) -> ExecutionResult:
    return run_design_sync(SAMPLES[name].design, SAMPLES[name].inputs[number], models=offline())


def words_of(value: Any) -> set[str]:
    return set(re.findall(r"[a-z]{5,}", str(value).lower()))


def test_there_are_ten_samples_of_two_inputs_each() -> None:
    assert len(SAMPLES) == 10
    assert {len(sample.inputs) for sample in SAMPLES.values()} == {2}


def test_every_sample_is_sound(sample: Sample) -> None:
    assert validate_design(sample.design, models=offline()) == []


def test_every_sample_runs_wherever_it_is_installed(sample: Sample) -> None:
    assert [agent.model for block in sample.design.blocks for agent in block.agents if agent.model] == []


def test_every_input_field_says_what_it_is(sample: Sample) -> None:
    schema = sample.design.input_schema
    assert schema is not None
    assert check_schema(schema) == []
    assert sample.design.description
    for field in schema["properties"].values():
        assert field["title"]
        assert field["description"].endswith(".")
    assert any("examples" in field for field in schema["properties"].values())


def test_every_agent_is_told_who_it_is(sample: Sample) -> None:
    for block in sample.design.blocks:
        assert block.data.task
        for agent in block.agents:
            assert len(agent.system_prompt) > 80, agent.name


def test_between_them_the_samples_show_everything_a_design_can_do() -> None:
    blocks = [block for sample in SAMPLES.values() for block in sample.design.blocks]
    connections = [connection for sample in SAMPLES.values() for connection in sample.design.connections]
    assert {block.type for block in blocks} == {
        "sequential",
        "parallel",
        "hierarchical",
        "debate",
        "routing",
        "reflection",
    }
    assert any(connection.target_agent for connection in connections)
    routers = {block.id for block in blocks if block.type == "routing"}
    branches = Counter(c.source for c in connections if c.source in routers and c.source_agent)
    assert max(branches.values()) >= 3
    assert any(agent.output_schema for block in blocks for agent in block.agents)


@pytest.mark.parametrize(("name", "number"), RUNS)
def test_every_sample_completes_offline_and_speaks_of_its_input(name: str, number: int) -> None:
    result = run(name, number)
    assert result.failure is None
    assert result.status == "completed"
    shared = words_of(result.output) & words_of(SAMPLES[name].inputs[number])
    assert len(shared) >= 3, result.output


@pytest.mark.parametrize(
    ("name", "number", "ran"),
    [
        ("support-triage", 0, {"refund"}),
        ("support-triage", 1, {"diagnose"}),
        ("lead-qualification", 0, {"brief"}),
        ("lead-qualification", 1, {"message"}),
    ],
)
def test_a_branch_runs_only_when_the_router_has_chosen_it(name: str, number: int, ran: set[str]) -> None:
    branches = {"support-triage": {"refund", "diagnose", "identity"}, "lead-qualification": {"brief", "message"}}[name]
    result = run(name, number)
    assert {block for block in branches if result.blocks[block].status == "completed"} == ran
    assert {block for block in branches if result.blocks[block].status == "skipped"} == branches - ran


@pytest.mark.parametrize(("name", "number"), RUNS)
def test_a_result_reads_as_text_and_says_that_the_offline_model_wrote_it(name: str, number: int) -> None:
    design = SAMPLES[name].design
    schemas = [design.input_schema, *(agent.output_schema for block in design.blocks for agent in block.agents)]
    fields = {field for schema in schemas for field in (schema or {}).get("properties", {})}
    for text in texts_of(run(name, number).output):
        title, *lines = text.splitlines()
        assert title.startswith("[offline demo] ")
        assert title.endswith(("(sentences picked from the input)", "(positions counted, not judged)"))
        said = [line for line in lines if line.startswith("- ")]
        assert said
        assert len(set(said)) == len(said)
        assert not [line for line in lines if re.match(rf"(?:- )?(?:{'|'.join(fields)}):", line)]
        assert not re.search(r"^## |[{}]\"|From Input|You are the|Main points", "\n".join(lines), re.MULTILINE)


@pytest.mark.parametrize(("name", "number"), RUNS)
def test_a_result_quotes_its_input_word_for_word(name: str, number: int) -> None:
    given = " ".join(json.dumps(SAMPLES[name].inputs[number], ensure_ascii=False).split())
    for text in texts_of(run(name, number).output):
        for line in text.splitlines()[1:]:
            # What stands before a colon may be the model's: a theme, a kind of change.
            quoted = re.sub(r"^- (?:`|The input says: “)?|`$| \(api\)$|”.*$", "", line)
            whole_or_after_colon = (quoted, quoted.partition(": ")[2] or quoted)
            if line.startswith("- ") and "Taken over from" not in line:
                assert any(json.dumps(part, ensure_ascii=False)[1:-1] in given for part in whole_or_after_colon), line


def texts_of(output: Any) -> list[str]:
    return [output] if isinstance(output, str) else [text for part in output.values() for text in texts_of(part)]


@pytest.mark.parametrize(
    ("message", "branch"),
    [
        ("I forgot my password and the reset mail never arrives. Can you unlock my account?", "identity"),
        ("Please delete my account and all personal data you hold about me.", "identity"),
        ("Add my colleague Tim as a user with the role editor, please.", "identity"),
        ("The API answers 500 since this morning and our integration stopped.", "diagnose"),
        ("I cannot pay because the payment page crashes with an error.", "diagnose"),
        ("The invoice of March shows the wrong amount.", "refund"),
        ("Do you have a discount for schools? The price of the business plan is too high.", "refund"),
        ("Hello?", "identity"),
    ],
)
def test_triage_sends_a_message_where_it_belongs(message: str, branch: str) -> None:
    design = SAMPLES["support-triage"].design
    result = run_design_sync(design, {"customer": "Jo", "message": message}, models=offline())
    ran = {block for block in ("refund", "diagnose", "identity") if result.blocks[block].status == "completed"}
    assert ran == {branch}


@pytest.mark.parametrize("number", [0, 1])
def test_the_actions_of_a_meeting_are_scored_higher_once_what_was_missing_is_added(number: int) -> None:
    sample, decisions = SAMPLES["meeting-actions"], list[RecordedEvent]()
    run_design_sync(sample.design, sample.inputs[number], models=offline(), on_event=decisions.append)
    scored = [event.event.payload for event in decisions if (event.event.key or "").startswith("check/score/")]
    scores = [float(str(draft["score"])) for draft in scored]
    assert len(scores) > 1
    assert scores == sorted(set(scores))
    assert scored[0]["passed"] is False
    assert scored[-1]["passed"] is True


def test_the_smallest_sample_is_one_call() -> None:
    assert run("status-digest", 0).usage.calls == 1
