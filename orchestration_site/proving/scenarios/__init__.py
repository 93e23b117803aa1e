"""The scenarios by their names: a class in a module here, and a line in the table."""

from orchestration_site.proving.scenarios.beat_away import BeatAway
from orchestration_site.proving.scenarios.beats_killed import BeatsKilled
from orchestration_site.proving.scenarios.broker_away import BrokerAway, BrokerHangs
from orchestration_site.proving.scenarios.broker_away_scheduled import BrokerAwayScheduled
from orchestration_site.proving.scenarios.broker_emptied import BrokerEmptied
from orchestration_site.proving.scenarios.call_hangs import CallHangs, DeadlinePasses
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.scenarios.database_killed import DatabaseAway, DatabaseKilled
from orchestration_site.proving.scenarios.drained import Drained
from orchestration_site.proving.scenarios.messages_repeated import MessagesRepeated
from orchestration_site.proving.scenarios.outgrown import Outgrown
from orchestration_site.proving.scenarios.poison import DrainedOften, Poison
from orchestration_site.proving.scenarios.watched import Watched
from orchestration_site.proving.scenarios.worker_killed import WorkerKilled
from orchestration_site.proving.scenarios.worker_killed_full import WorkerKilledFull
from orchestration_site.proving.scenarios.worker_stopped import Asleep, WorkerStopped

__all__ = ["SCENARIOS", "Scenario"]

_ALL: tuple[type[Scenario], ...] = (
    WorkerKilled,
    WorkerKilledFull,
    WorkerStopped,
    Asleep,
    Poison,
    CallHangs,
    DeadlinePasses,
    Drained,
    DrainedOften,
    Outgrown,
    BrokerAway,
    BrokerHangs,
    BrokerEmptied,
    MessagesRepeated,
    DatabaseKilled,
    DatabaseAway,
    Watched,
    BeatsKilled,
    BeatAway,
    BrokerAwayScheduled,
)
SCENARIOS: dict[str, type[Scenario]] = {scenario.name: scenario for scenario in _ALL}
