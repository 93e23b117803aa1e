"""The sample designs: sound, complete, and they run on the offline model with a result worth looking at."""

import re
from collections import Counter
from typing import Any

import pytest

from designs.samples import Sample, load_samples
from executor.json_schema import check_schema
from executor.providers.accounts import accounts_from_environment
from executor.providers.registry import ProviderRegistry
from executor.results import ExecutionResult
from executor.run import run_design_sync
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


def test_the_smallest_sample_is_one_call() -> None:
    assert run("status-digest", 0).usage.calls == 1
