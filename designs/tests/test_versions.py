"""Versions: numbered, never changed, one for each content."""

import threading

import pytest
from django.apps import apps
from django.db import connections

from access.models import Team
from designs.drafts import DesignDeployed, create_design, delete_design, save_draft
from designs.models import DesignVersion, OrchestrationDesign
from designs.tests.builders import client_of, document, make_person
from designs.versions import freeze_version, parse_version
from executor.document import parse_design
from executor.errors import InvalidDesign


def make_design(**changes: object) -> OrchestrationDesign:
    return create_design(document=document(**changes), team_id=Team.default().pk, by="user:alice")


@pytest.mark.django_db
def test_the_same_content_is_the_same_version() -> None:
    design = make_design()
    first = freeze_version(design=design, created_by="user:alice")
    assert freeze_version(design=design, created_by="user:bob") == first
    save_draft(design=design, parsed=parse_design(document("Other")))
    second = freeze_version(design=design, created_by="user:bob")
    assert (first.number, second.number) == (1, 2)
    save_draft(design=design, parsed=parse_design(document()))
    assert freeze_version(design=design, created_by="user:carol") == first
    first.refresh_from_db()
    assert first.created_by == "user:alice"


@pytest.mark.django_db
def test_a_version_is_refused_while_the_draft_has_problems() -> None:
    design = make_design(blocks=[])
    with pytest.raises(InvalidDesign) as caught:
        freeze_version(design=design, created_by="user:alice")
    assert [problem.code for problem in caught.value.problems] == ["no_blocks"]
    assert not DesignVersion.objects.exists()


@pytest.mark.django_db
def test_a_deleted_design_gets_no_versions() -> None:
    design = make_design()
    delete_design(design=OrchestrationDesign.objects.get(), by="user:root")
    with pytest.raises(InvalidDesign, match="deleted"):
        freeze_version(design=design, created_by="user:alice")


@pytest.mark.django_db
def test_a_version_is_parsed_once() -> None:
    version = freeze_version(design=make_design(), created_by="user:alice")
    parsed = parse_version(version.id)
    assert parsed.name == "Greeter"
    assert parse_version(DesignVersion.objects.get().id) is parsed
    other = freeze_version(design=make_design(name="Other"), created_by="user:alice")
    assert parse_version(other.id).name == "Other"


@pytest.mark.django_db(transaction=True)
def test_callers_at_once_make_one_version() -> None:
    design = make_design()
    made: list[DesignVersion] = []
    barrier = threading.Barrier(6)

    def freeze() -> None:
        try:
            barrier.wait(20)
            made.append(freeze_version(design=design, created_by="user:alice"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=freeze) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 6
    assert len({version.pk for version in made}) == 1
    assert DesignVersion.objects.count() == 1


@pytest.mark.django_db
def test_a_design_that_is_deployed_is_not_deleted_and_says_where() -> None:
    design = make_design()
    version = freeze_version(design=design, created_by="user:alice")
    deployments = apps.get_model("deployments", "Deployment")._default_manager  # not imported: it is above this app
    deployment = deployments.create(
        team=design.team, design=design, version=version, design_name=design.name, endpoint_path="/api/deployed/greet"
    )
    with pytest.raises(DesignDeployed) as caught:
        delete_design(design=design, by="user:root")
    assert caught.value.names == ["/api/deployed/greet"]
    client = client_of(make_person("alice", "view", "change"))
    answer = client.delete(f"/api/designs/{design.pk}")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/design-deployed"
    assert answer.json()["deployments"] == ["/api/deployed/greet"]
    deployments.filter(pk=deployment.pk).update(deleted_at=design.created_at)
    assert client.delete(f"/api/designs/{design.pk}").status_code == 204
    assert not OrchestrationDesign.objects.live().exists()
