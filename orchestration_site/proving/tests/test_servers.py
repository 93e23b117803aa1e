"""PostgreSQL and Redis are killed, stopped and emptied under a running system: short forms of `prove`."""

import pytest

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios.broker_away import BrokerAway, BrokerHangs
from orchestration_site.proving.scenarios.broker_emptied import BrokerEmptied
from orchestration_site.proving.scenarios.database_killed import DatabaseAway, DatabaseKilled
from orchestration_site.proving.scenarios.messages_repeated import MessagesRepeated
from orchestration_site.proving.stack import Stack
from orchestration_site.proving.tests.trying import expect_few_messages_behind_a_worker_that_stands_still, expect_kept

pytestmark = pytest.mark.durability


def test_calls_are_accepted_at_once_while_the_broker_is_gone(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(BrokerAway(executions=50, away_seconds=8), distributed, provider)


def test_and_while_it_takes_connections_and_says_nothing(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(BrokerHangs(executions=50, away_seconds=8), distributed, provider)


def test_a_broker_that_loses_all_messages_loses_no_execution(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(BrokerEmptied(executions=50, concurrency=5), distributed, provider)


def test_messages_that_come_again_late_and_in_any_order(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(MessagesRepeated(executions=40), distributed, provider)


def test_a_database_that_is_killed_five_times_loses_nothing(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(DatabaseKilled(executions=100, away_seconds=1, kill_every=2), distributed, provider)


def test_nor_one_that_is_away_for_longer_than_a_lease(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(DatabaseAway(executions=50, away_seconds=10, kill_every=3), distributed, provider)


def test_a_worker_that_stands_still_keeps_few_messages_from_the_others(distributed: Stack) -> None:
    expect_few_messages_behind_a_worker_that_stands_still(distributed)
