"""What compose.yaml says agrees with the settings, the Dockerfile, and what the roles need."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.executions.worker import RELEASE_SECONDS
from orchestration_site import healthcheck
from orchestration_site.environment import BASE_DIR, SECRET_FIELDS, Environment, read_environment
from orchestration_site.tests.composed import (
    SECRETS,
    files_of_secrets,
    folders_in_memory,
    our_services,
    read_compose,
    replicas_of,
    roles,
    seconds_of,
    services,
    words_of,
)
from orchestration_site.web_server import WebServer

OURS = our_services()
SERVICES = services()
LASTING = {name: service for name, service in SERVICES.items() if name != "migrate"}

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
each_lasting = pytest.mark.parametrize("service", LASTING.values(), ids=LASTING)
each_of_ours = pytest.mark.parametrize("name", OURS)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployed") / "secrets"
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> None:
    subprocess.run([BASE_DIR / "deploy/make-secrets", str(folder)], check=True)  # noqa: S603 - our own words


def test_there_is_a_service_for_each_role_of_the_image_with_its_command() -> None:
    assert {name: words_of(service) for name, service in OURS.items()} == {
        name: command.split() for name, command in roles().items()
    }


@each_of_ours
def test_each_role_can_use_every_variable_and_secret_that_it_is_given(
    name: str, secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = OURS[name]["environment"]
    ours = {*Environment.model_fields, *(f"{field}_file" for field in SECRET_FIELDS)}
    assert {variable.lower() for variable in environment} <= ours
    assert {secret for _, secret in files_of_secrets(environment)} == set(OURS[name]["secrets"])

    for field in ours:
        monkeypatch.delenv(field.upper(), raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value.replace(SECRETS, str(secrets)))
    read = read_environment()
    assert capsys.readouterr().err == ""
    assert read.database_url.startswith("postgres://orchestration:")
    assert read.database_url.endswith(f"@postgres:5432/{SERVICES['postgres']['environment']['POSTGRES_DB']}")
    assert read.secret_key is not None
    assert len(read.encryption_keys) == 1


def test_the_passwords_of_the_database_are_one(secrets: Path) -> None:
    password = (secrets / "postgres_password").read_text().strip()
    assert len(password) == 40
    assert f":{password}@" in (secrets / "database_url").read_text()


def test_secrets_are_made_once_and_only_their_owner_gets_to_them(secrets: Path) -> None:
    made = {path.name: path.read_text() for path in secrets.iterdir()}
    assert sorted(made) == sorted(read_compose()["secrets"])
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o444}

    (secrets / "secret_key").unlink()
    make_secrets(secrets)
    again = {path.name: path.read_text() for path in secrets.iterdir()}
    assert {name for name in made if made[name] != again[name]} == {"secret_key"}


def test_every_secret_that_is_used_is_one_that_is_made() -> None:
    made = read_compose()["secrets"]
    assert {name: entry["file"] for name, entry in made.items()} == {name: f"./secrets/{name}" for name in made}
    assert {secret for service in SERVICES.values() for secret in service.get("secrets", [])} == set(made)
    assert "/secrets/" in (BASE_DIR / ".gitignore").read_text().splitlines()


def test_a_stop_waits_for_longer_than_a_role_takes_to_end() -> None:
    drain = float(OURS["worker"]["environment"]["DRAIN_SECONDS"])
    assert seconds_of(OURS["worker"]["stop_grace_period"]) > drain + RELEASE_SECONDS
    assert seconds_of(OURS["web"]["stop_grace_period"]) > WebServer.GRACEFUL_SECONDS


@each_service
def test_no_service_has_more_rights_than_it_needs(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "network_mode", "pid", "devices"} & set(service)
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"]["max-size"]


@each_lasting
def test_what_lasts_is_watched_and_started_again_however_it_ends(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service or service is SERVICES["web"], "the image's own is that of the web server"


def test_nothing_but_the_web_server_is_reached_from_outside_and_it_from_this_machine_alone() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"web"}
    assert SERVICES["web"]["ports"] == ["${PUBLISH:-127.0.0.1:8000}:" + OURS["web"]["environment"]["PORT"]]
    assert read_compose()["networks"]["inside"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]


def test_images_of_others_are_pinned_to_a_version() -> None:
    others = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    assert len(others) == 2
    assert [image for image in others if not re.fullmatch(r"\w+:\d+(\.\d+)+-bookworm", image)] == []


def test_migrations_are_done_before_a_role_starts_and_the_servers_answer_before_them() -> None:
    assert {name: wait["condition"] for name, wait in OURS["migrate"]["depends_on"].items()} == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
    }
    for name in ("web", "worker", "beat"):
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert OURS["migrate"]["restart"] == "no"


def test_one_worker_and_one_beat_may_be_lost() -> None:
    assert replicas_of(OURS["worker"]) >= 2
    assert replicas_of(OURS["beat"]) == 2


def test_the_connections_of_six_workers_and_the_rest_fit_into_the_database() -> None:
    pools = {
        name: int(service["environment"].get("DATABASE_POOL", Environment.model_fields["database_pool"].default))
        for name, service in OURS.items()
    }
    [limit] = re.findall(r"max_connections=(\d+)", SERVICES["postgres"]["command"])
    needed = sum(pools[name] * (6 if name == "worker" else replicas_of(OURS[name])) for name in OURS)
    assert needed <= int(limit) - 3, "three are the superuser's"


@each_of_ours
def test_whatever_a_role_writes_is_in_memory_and_belongs_to_the_image_s_user(name: str) -> None:
    environment, folders = OURS[name]["environment"], folders_in_memory(OURS[name])
    [user] = re.findall(r"^USER (\d+)$", (BASE_DIR / "Dockerfile").read_text(), re.MULTILINE)
    assert f"uid={user}" in folders[environment["DATA_DIR"]]
    assert "mode=1777" in folders["/tmp"]  # noqa: S108 - a folder of the container
    if name in ("worker", "beat"):
        assert Path(environment["ALIVE_FILE"]).parent == Path("/tmp")  # noqa: S108


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_the_health_check_of_a_role_is_its_own(name: str) -> None:
    probe, *words = OURS[name]["healthcheck"]["test"]
    assert (probe, words) == ("CMD", ["python", "-m", healthcheck.__name__, name])
    assert name in healthcheck.ROLES
    interval = seconds_of(OURS[name]["healthcheck"]["interval"])
    assert interval < healthcheck.MAX_AGE_SECONDS


def test_the_image_s_own_health_check_is_the_web_server_s() -> None:
    text = (BASE_DIR / "Dockerfile").read_text()
    [command] = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", text, re.MULTILINE)
    assert yaml.safe_load(command) == ["python", "-m", healthcheck.__name__, "web"]
