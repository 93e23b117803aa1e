"""Deploying, changing and undeploying: whole or not at all."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connections
from django.utils import timezone

from access.models import Team
from deployments.deploying import (
    DeploymentChanges,
    DeploymentGone,
    EndpointTaken,
    RevisionChanged,
    UnknownVersion,
    VersionChoice,
    deploy_design,
    undeploy,
    update_deployment,
)
from deployments.endpoint_path import InvalidEndpointPath
from deployments.limits import InvalidLimits, LimitFields
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.validation import ScheduleFields
from deployments.tests.builders import make_queued, one_agent_document
from designs.models import DesignVersion, OrchestrationDesign
from executor.errors import InvalidDesign
from executor.json_types import JsonObject

EVERY_HOUR = ScheduleFields(interval_seconds=3600, input_data={"text": "a"})


def make_design(**fields: object) -> OrchestrationDesign:
    document = one_agent_document() | {"input_schema": {"type": "object", "required": ["text"]}} | fields
    return OrchestrationDesign.objects.create(team=Team.default(), name=str(document["name"]), draft=document)


def save_draft(design: OrchestrationDesign, changes: JsonObject) -> None:
    design.draft = {**design.draft, **changes}
    design.save()


def deploy(path: str = "feed", **options: object) -> Deployment:
    design = make_design()
    return deploy_design(design=design, endpoint_path=path, by="user:ann", **options)  # type: ignore[arg-type] # of the call


@pytest.mark.django_db
class TestOneAfterTheOther:
    def test_a_deployment_belongs_to_its_designs_team_and_pins_a_version(self) -> None:
        deployment = deploy()
        assert deployment.team == Team.default()
        assert (deployment.version.number, deployment.endpoint_path) == (1, "/api/deployed/feed")
        assert deployment.created_by == "user:ann"

    def test_deploying_unchanged_content_makes_no_second_version(self) -> None:
        design = make_design()
        deploy_design(design=design, endpoint_path="one", by="user:ann")
        deploy_design(design=design, endpoint_path="two", by="user:ann")
        assert DesignVersion.objects.count() == 1

    def test_a_deployment_that_is_refused_leaves_nothing_behind(self) -> None:
        wrong = ScheduleFields(interval_seconds=3600, input_data={})
        with pytest.raises(InvalidSchedule):
            deploy(schedule=wrong)
        assert not Deployment.objects.exists()
        assert not DesignVersion.objects.exists()
        with pytest.raises(InvalidEndpointPath):
            deploy("Feed")
        with pytest.raises(UnknownVersion):
            deploy(version=3)
        with pytest.raises(InvalidDesign):
            deploy_design(design=make_design(blocks=[]), endpoint_path="feed", by="user:ann")
        assert not Deployment.objects.exists()

    def test_a_design_that_was_deleted_meanwhile_is_not_deployed(self) -> None:
        design = make_design()
        deploy_design(design=design, endpoint_path="one", by="user:ann")
        OrchestrationDesign.objects.update(deleted_at=timezone.now())
        choices: list[VersionChoice] = ["latest", 1]
        for version in choices:
            with pytest.raises(InvalidDesign, match="deleted"):
                deploy_design(design=design, endpoint_path="two", by="user:ann", version=version)

    def test_a_taken_path_is_refused_until_it_is_undeployed(self) -> None:
        first = deploy()
        with pytest.raises(EndpointTaken, match="/api/deployed/feed"):
            deploy("/api/deployed/feed/")
        undeploy(deployment_id=first.id, by="user:ann")
        assert deploy().id != first.id
        assert Deployment.objects.count() == 2

    def test_every_change_raises_the_revision(self) -> None:
        deployment = deploy()
        changed = update_deployment(
            deployment_id=deployment.id, changes=DeploymentChanges(status="inactive"), by="user:bob"
        )
        assert (deployment.revision, changed.revision) == (1, 2)
        assert changed.status_reason == "Set inactive by user:bob."

    def test_setting_active_clears_the_error_and_the_schedules_pause(self) -> None:
        deployment = deploy(schedule=EVERY_HOUR)
        Deployment.objects.update(status="error", status_reason="Three failures in a row.")
        ScheduleConfig.objects.update(paused_by="system", paused_reason="Three failures.", paused_at=timezone.now())
        changed = update_deployment(
            deployment_id=deployment.id, changes=DeploymentChanges(status="active"), by="user:ann"
        )
        assert (changed.status, changed.status_reason) == ("active", "")
        schedule = ScheduleConfig.objects.get()
        assert (schedule.paused_by, schedule.paused_reason, schedule.paused_at) == ("", "", None)

    def test_an_old_revision_changes_nothing(self) -> None:
        deployment = deploy()
        update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(status="inactive"), by="user:ann")
        with pytest.raises(RevisionChanged):
            update_deployment(
                deployment_id=deployment.id,
                changes=DeploymentChanges(status="active"),
                by="user:ann",
                expected_revision=1,
            )
        with pytest.raises(RevisionChanged):
            undeploy(deployment_id=deployment.id, by="user:ann", expected_revision=1)
        deployment.refresh_from_db()
        assert (deployment.status, deployment.revision, deployment.is_live) == ("inactive", 2, True)

    def test_counters_that_move_meanwhile_are_kept(self) -> None:
        deployment = deploy()
        Deployment.objects.update(execution_count=41)
        update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(status="inactive"), by="user:ann")
        assert Deployment.objects.get().execution_count == 41

    def test_an_edited_schedule_stays_the_same_row(self) -> None:
        deployment = deploy(schedule=EVERY_HOUR)
        before = ScheduleConfig.objects.get()
        changes = DeploymentChanges(schedule=ScheduleFields(cron_expression="@daily", input_data={"text": "b"}))
        update_deployment(deployment_id=deployment.id, changes=changes, by="user:ann")
        after = ScheduleConfig.objects.get()
        assert (after.id, after.cron_expression, after.interval_seconds) == (before.id, "0 0 * * *", None)

    def test_a_change_of_two_things_of_which_one_is_wrong_changes_neither(self) -> None:
        deployment = deploy()
        wrong = DeploymentChanges(status="inactive", limits=LimitFields(rate_count=5))
        with pytest.raises(InvalidLimits):
            update_deployment(deployment_id=deployment.id, changes=wrong, by="user:ann")
        deployment.refresh_from_db()
        assert (deployment.status, deployment.revision) == ("active", 1)

    def test_a_new_version_has_to_take_the_schedules_input(self) -> None:
        deployment = deploy(schedule=EVERY_HOUR)
        save_draft(deployment.design, {"input_schema": {"type": "object", "required": ["other"]}})
        latest = DeploymentChanges(version="latest")
        with pytest.raises(InvalidSchedule):
            update_deployment(deployment_id=deployment.id, changes=latest, by="user:ann")
        assert DesignVersion.objects.count() == 1
        save_draft(deployment.design, {"input_schema": None})
        assert update_deployment(deployment_id=deployment.id, changes=latest, by="user:ann").version.number == 2

    def test_undeploying_cancels_what_is_queued_and_leaves_what_runs(self) -> None:
        deployment = deploy(schedule=EVERY_HOUR)
        queued, running = make_queued(deployment), make_queued(deployment)
        lease = timezone.now() + timedelta(minutes=1)
        ExecutionLog.objects.filter(id=running.id).update(status="running", lease_expires_at=lease)
        undeploy(deployment_id=deployment.id, by="user:ann")
        queued.refresh_from_db()
        running.refresh_from_db()
        assert (queued.status, running.status) == ("cancelled", "running")
        assert ScheduleConfig.objects.get().enabled is False
        for verb in (
            lambda: undeploy(deployment_id=deployment.id, by="user:ann"),
            lambda: update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(), by="user:ann"),
        ):
            with pytest.raises(DeploymentGone):
                verb()

    def test_a_refused_undeployment_cancels_nothing(self) -> None:
        deployment = deploy()
        queued = make_queued(deployment)
        with pytest.raises(RevisionChanged):
            undeploy(deployment_id=deployment.id, by="user:ann", expected_revision=7)
        queued.refresh_from_db()
        assert queued.status == "queued"


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_of_eight_that_deploy_to_one_path_one_gets_it_and_the_others_are_told(self) -> None:
        designs = [make_design() for _ in range(8)]
        outcomes = _at_once(
            [partial(deploy_design, design=design, endpoint_path="feed", by="user:ann") for design in designs]
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Deployment"] + ["EndpointTaken"] * 7
        assert Deployment.objects.live().count() == 1

    def test_of_eight_changes_on_one_revision_one_is_made(self) -> None:
        deployment = deploy()

        def change() -> Deployment:
            return update_deployment(
                deployment_id=deployment.id,
                changes=DeploymentChanges(status="inactive"),
                by="user:ann",
                expected_revision=1,
            )

        outcomes = _at_once([change] * 8)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Deployment"] + ["RevisionChanged"] * 7
        assert Deployment.objects.get().revision == 2

    def test_patches_of_different_fields_do_not_undo_each_other(self) -> None:
        deployment = deploy()
        fields = ["max_calls", "max_tokens", "max_concurrent", "deadline_seconds"]

        def patch(name: str) -> Deployment:
            changes = DeploymentChanges(limits={name: 7})
            return update_deployment(deployment_id=deployment.id, changes=changes, by="user:ann")

        _at_once([partial(patch, name) for name in fields])
        assert Deployment.objects.values_list(*fields).get() == (7, 7, 7, 7)


def _at_once(verbs: list[Callable[[], object]]) -> list[object]:
    """What each returned or raised, all started together in threads of their own."""
    start, outcomes = threading.Barrier(len(verbs)), list[object]()

    def run(verb: Callable[[], object]) -> None:
        start.wait()
        try:
            outcomes.append(verb())
        except Exception as error:  # noqa: BLE001 - it is the outcome
            outcomes.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(verb,)) for verb in verbs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
