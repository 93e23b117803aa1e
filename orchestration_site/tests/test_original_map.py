"""`docs/original-map.md` tells the truth: every file it names exists, and every test it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "docs" / "original-map.md").read_text()
TESTS = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", MAP)))
FILES = sorted(set(re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|json|md|html|ts|yaml))(?:::\w+)?`", MAP)))

#: What the original description lists; each has to be spoken of in the map under its own name.
NAMES = """
enabled cron_expression interval_seconds timezone design_id design_name endpoint_path status schedule created_at
updated_at last_execution_at execution_count deployment_id execution_id trigger_type triggered_by input_data result_data
error started_at completed_at duration_ms create_deployment get_deployments get_deployment get_deployment_by_endpoint
update_deployment delete_deployment create_execution_log get_execution_logs get_execution_log update_execution_log
DeploymentExecutor MultiAgentOrchestrator execute_design execute_sequential execute_parallel execute_hierarchical
execute_debate execute_routing execute_reflection DeploymentScheduler load_scheduled_deployments schedule_deployment
unschedule_deployment execute_deployment APScheduler deploymentApi DeploymentsPage ScheduleConfig Deployment ExecutionLog
""".split()


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_map_names_tests() -> None:
    assert len(TESTS) > 30


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_each_named_test_exists(path: str, name: str) -> None:
    assert name in functions_of(path), f"{path} has no test {name}: mend docs/original-map.md or bring the test back."


@pytest.mark.parametrize("path", FILES)
def test_each_named_file_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_the_original_is_mapped(name: str) -> None:
    assert re.search(rf"\b{name}\b", MAP), f"{name} of the original description is not in docs/original-map.md."
