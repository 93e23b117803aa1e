"""RabbitMQ as the broker, where the machine has one; its lane says loudly when it has none."""

import pytest

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios.broker_away import BrokerAway, BrokerHangs
from orchestration_site.proving.scenarios.broker_emptied import BrokerEmptied
from orchestration_site.proving.scenarios.messages_repeated import MessagesRepeated
from orchestration_site.proving.scenarios.worker_killed import WorkerKilled
from orchestration_site.proving.stack import Stack
from orchestration_site.proving.tests.trying import expect_few_messages_behind_a_worker_that_stands_still, expect_kept

pytestmark = pytest.mark.durability


def test_workers_are_killed_at_random_under_load(rabbitmq: Stack, provider: ScriptedProvider) -> None:
    expect_kept(WorkerKilled(executions=100, per_second=8, kill_every=3, workers=2, concurrency=20), rabbitmq, provider)


def test_calls_are_accepted_at_once_while_the_broker_is_gone(rabbitmq: Stack, provider: ScriptedProvider) -> None:
    expect_kept(BrokerAway(executions=50, away_seconds=8), rabbitmq, provider)


def test_and_while_it_takes_connections_and_says_nothing(rabbitmq: Stack, provider: ScriptedProvider) -> None:
    expect_kept(BrokerHangs(executions=50, away_seconds=8), rabbitmq, provider)


def test_a_broker_that_loses_all_messages_loses_no_execution(rabbitmq: Stack, provider: ScriptedProvider) -> None:
    expect_kept(BrokerEmptied(executions=50, concurrency=5), rabbitmq, provider)


def test_messages_that_come_again_late_and_in_any_order(rabbitmq: Stack, provider: ScriptedProvider) -> None:
    expect_kept(MessagesRepeated(executions=40), rabbitmq, provider)


def test_a_worker_that_stands_still_keeps_few_messages_from_the_others(rabbitmq: Stack) -> None:
    expect_few_messages_behind_a_worker_that_stands_still(rabbitmq)
