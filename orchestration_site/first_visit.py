"""What a fresh installation gets: the tables, the user `admin`, the sample designs deployed, and the static files.

Everything is done once: what a user deletes or changes afterwards is not made again.
"""

import hashlib
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils.text import slugify

from access.models import Team
from deployments.deploying import deploy_design
from designs.samples import load_samples

ADMIN = "admin"
SETUP = "setup"


@dataclass(frozen=True)
class FirstVisit:
    """What was made just now. `password` is None when the operator chose it."""

    password: str | None


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
        _deploy_samples(team)
    return FirstVisit(password=None if admin_password else password)


def reset_admin_password(admin_password: str | None) -> str | None:
    """Give `admin` the operator's password, or a new one that is returned. Makes the user when it is gone."""
    password = admin_password or generate_password()
    admin, _ = get_user_model().objects.get_or_create(username=ADMIN)
    admin.is_active = admin.is_staff = admin.is_superuser = True
    admin.set_password(password)
    admin.save()
    return None if admin_password else password


def collect_static_files(root: Path) -> None:
    """Copy the apps' static files to `root` when a file is new, gone or changed."""
    stamp = root.with_name("static.stamp")
    state = _state_of_static_files()
    if root.is_dir() and stamp.is_file() and stamp.read_text() == state:
        return
    shutil.rmtree(root, ignore_errors=True)
    call_command("collectstatic", verbosity=0, interactive=False)
    stamp.write_text(state)


def generate_password() -> str:
    """About 95 bits, without letters that look alike."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(19))


def _deploy_samples(team: Team) -> None:
    for design in load_samples(team_id=team.pk, created_by=SETUP):
        deploy_design(design=design, endpoint_path=slugify(design.name), by=SETUP)


def _state_of_static_files() -> str:
    seen = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = Path(storage.path(path)).stat()
            seen.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return seen.hexdigest()
