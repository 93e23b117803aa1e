"""The scenarios by their names: one module each, and one line here."""

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.scenarios.worker_killed import WorkerKilled

__all__ = ["SCENARIOS", "Scenario"]

SCENARIOS: dict[str, type[Scenario]] = {scenario.name: scenario for scenario in (WorkerKilled,)}
