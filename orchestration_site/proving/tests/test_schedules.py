"""Beats are killed and the broker is taken away while schedules fire: short forms of `prove`."""

import pytest

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios.beat_away import BeatAway
from orchestration_site.proving.scenarios.beats_killed import BeatsKilled
from orchestration_site.proving.scenarios.broker_away_scheduled import BrokerAwayScheduled
from orchestration_site.proving.stack import Stack
from orchestration_site.proving.tests.trying import expect_kept

pytestmark = pytest.mark.durability


def test_of_three_beats_one_is_killed_again_and_again(distributed: Stack, provider: ScriptedProvider) -> None:
    verdict = expect_kept(BeatsKilled(seconds=9, kill_every=2.5), distributed, provider)
    assert verdict.kills >= 3


def test_after_an_hour_without_a_beat_each_policy_does_what_it_says(
    distributed: Stack, provider: ScriptedProvider
) -> None:
    expect_kept(BeatAway(), distributed, provider)


def test_what_comes_due_while_the_broker_is_away_runs_when_it_is_back(
    distributed: Stack, provider: ScriptedProvider
) -> None:
    expect_kept(BrokerAwayScheduled(away_seconds=4, rows_within=1.5), distributed, provider)
