"""What a fresh installation gets: the tables, the user `admin`, and the sample designs, deployed.

Everything is done once: what a user deletes or changes afterwards is not made again.
"""

import logging
import secrets
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from access.models import Team
from deployments.deploying import EndpointTaken, deploy_design
from deployments.scheduling.validation import ScheduleFields
from designs.drafts import create_design
from designs.samples import Sample, load_samples
from executor.errors import InvalidDesign

log = logging.getLogger(__name__)

ADMIN = "admin"
SETUP = "setup"


class SamplesRefused(Exception):
    """DEFAULT_MODEL, with which the samples run, cannot be used."""


@dataclass(frozen=True)
class FirstVisit:
    """What was made just now. `password` is None when the operator chose it; `samples` are deployed."""

    password: str | None
    samples: tuple[Sample, ...]


def apply_migrations() -> None:
    """Bring the tables up to date; nearly free when they are."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


def make_first_visit(admin_password: str | None) -> FirstVisit | None:
    """The user `admin` and the deployed samples, in one transaction. None when there are users already."""
    users = get_user_model().objects
    with transaction.atomic():
        # Of two processes that set up one database, the second waits here and then finds the users of the first.
        team = Team.default()
        Group.objects.select_for_update().get(id=team.pk)
        if users.exists():
            return None
        password = admin_password or generate_password()
        users.create_superuser(ADMIN, password=password)
        try:
            samples = deploy_samples(team)
        except SamplesRefused as refused:  # the site works without them
            log.warning("%s", refused)
            samples = ()
    return FirstVisit(password=None if admin_password else password, samples=samples)


def deploy_samples(team: Team) -> tuple[Sample, ...]:
    """Store and deploy the samples whose endpoint is free; those. Raises `SamplesRefused`, with nothing stored."""
    try:
        with transaction.atomic():
            return tuple(sample for sample in load_samples() if _deploy_sample(sample, team))
    except InvalidDesign as refused:
        why = refused.problems[0].message
        sentence = f"The samples are not deployed: {why} When that is mended, type: manage.py load_samples"
        raise SamplesRefused(sentence) from None


def reset_admin_password(admin_password: str | None) -> str | None:
    """Give `admin` the operator's password, or a new one that is returned. Makes the user when it is gone."""
    password = admin_password or generate_password()
    admin, _ = get_user_model().objects.get_or_create(username=ADMIN)
    admin.is_active = admin.is_staff = admin.is_superuser = True
    admin.set_password(password)
    admin.save()
    return None if admin_password else password


def generate_password() -> str:
    """About 95 bits, without letters that look alike."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(19))


def _deploy_sample(sample: Sample, team: Team) -> bool:
    try:
        with transaction.atomic():
            design = create_design(document=sample.document, team_id=team.pk, by=SETUP)
            schedule = None
            if sample.every_seconds is not None:
                schedule = ScheduleFields(interval_seconds=sample.every_seconds, input_data=sample.inputs[0])
            deploy_design(design=design, endpoint_path=sample.endpoint_path, by=SETUP, schedule=schedule)
    except EndpointTaken:
        return False
    return True
