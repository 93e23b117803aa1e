"""What `deploy/` holds and docs/deployment.md tells to type agrees with the settings, and the backup restores."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from deployments.executions.worker import RELEASE_SECONDS
from deployments.live.feed import HEARTBEAT_SECONDS
from deployments.tests.builders import make_deployment, make_queued
from designs.models import ProviderAccount
from orchestration_site.environment import BASE_DIR, SECRET_FIELDS, Environment
from orchestration_site.proving.processes import private_environment
from orchestration_site.proving.servers import create_database, find_postgres
from orchestration_site.tests.composed import read_compose, roles, services
from orchestration_site.web_server import WebServer

UNITS = {path.name: path.read_text() for path in sorted((BASE_DIR / "deploy/systemd").iterdir())}
NGINX = BASE_DIR / "deploy/nginx.conf"
DOCUMENT = (BASE_DIR / "docs/deployment.md").read_text()
BIN = "/opt/orchestration/.venv/bin/"
#: Lines that differ from role to role.
OWN = ("Description", "ExecStart", "Type", "RemainAfterExit", "Restart", "Timeout", "LimitNOFILE", "Requires", "After")

each_unit = pytest.mark.parametrize("name", UNITS)


def role_of(unit: str) -> str:
    return unit.removeprefix("orchestration-").removesuffix(".service").removesuffix("@")


def setting(unit: str, name: str) -> str:
    [value] = re.findall(rf"^{name}=(.*)$", UNITS[unit], re.MULTILINE)
    return str(value)


def words_after(name: str) -> list[str]:
    """The words of the document's command that begins so after `docker compose exec -T postgres`."""
    [line] = re.findall(rf"^ {{4}}docker compose exec -T postgres ({name} .*?) ?[<>]\S+$", DOCUMENT, re.MULTILINE)
    return shlex.split(line)


def test_there_is_a_unit_for_each_role_with_its_command() -> None:
    commands = {role_of(unit): setting(unit, "ExecStart") for unit in UNITS}
    assert commands == {role: BIN + command for role, command in roles().items()}


@each_unit
def test_a_unit_sets_what_is_read_and_hands_over_what_is_made(name: str) -> None:
    variables = dict(re.findall(r"(?:^Environment=| )([A-Z_]+)=(\S+)", UNITS[name], re.MULTILINE))
    known = {*Environment.model_fields, *(f"{field}_file" for field in SECRET_FIELDS), "pythondontwritebytecode"}
    assert {variable.lower() for variable in variables} <= known
    loaded = dict(re.findall(r"^LoadCredential=(\w+):(\S+)$", UNITS[name], re.MULTILINE))
    assert {value.removeprefix("%d/") for variable, value in variables.items() if variable.endswith("_FILE")} == {
        *loaded
    }
    assert loaded == {secret: f"/etc/orchestration/secrets/{secret}" for secret in loaded}
    assert set(loaded) <= set(read_compose()["secrets"]), "deploy/make-secrets makes them"


def test_a_command_beside_the_units_has_their_settings_and_secrets(tmp_path: Path) -> None:
    """The script as it is, but for its folders and for whom it becomes."""
    script = (BASE_DIR / "deploy/manage").read_text()
    for unit in UNITS:
        assert f"DATA_DIR={re.findall('DATA_DIR=([^ ]+)', UNITS[unit])[0]} " in script
        assert setting(unit, "EnvironmentFile").removesuffix("/environment") in script
    for was, here in (
        ("/etc/", f"{tmp_path}/"),
        ("/opt/orchestration", str(BASE_DIR)),
        ("/var/lib/", f"{tmp_path}/var/"),
    ):
        assert was in script
        script = script.replace(was, here)
    assert "exec runuser -u orchestration -- " in script
    (tmp_path / "manage").write_text(script.replace("runuser -u orchestration -- ", ""))
    secrets = tmp_path / "orchestration/secrets"
    subprocess.run([BASE_DIR / "deploy/make-secrets", secrets], check=True)  # noqa: S603 - our own words
    (secrets / "database_url").write_text("")
    (secrets / "openai_api_key").write_text("sk-from a file\n")
    (secrets / "secret_key.old").write_text("of before")
    written = "# Ours.\nLOG_LEVEL=ERROR\n\n; Of before.\n NOTE=\"It's 1\"\nSITE_URL='https://a.example'"
    (tmp_path / "orchestration/environment").write_text(written)
    names = ("SECRET_KEY", "OPENAI_API_KEY", "LOG_LEVEL", "NOTE", "SITE_URL", "HOME")
    seen = f"import os; print([os.environ[name] for name in {names}])"
    command = ["/bin/sh", str(tmp_path / "manage"), "shell", "-v0", "-c", seen]
    env = private_environment(tmp_path) | {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    home = tmp_path / "var/orchestration"
    expected = [(secrets / "secret_key").read_text().strip(), "sk-from a file", "ERROR", "It's 1"]
    assert done.stdout.strip() == str([*expected, "https://a.example", str(home)])
    assert home.is_dir()


def test_every_unit_is_held_as_tightly_as_the_others() -> None:
    def common(text: str) -> list[str]:
        return [line for line in text.splitlines() if "=" in line and not line.startswith((*OWN, "#", "WantedBy"))]

    [first, *others] = [common(text) for text in UNITS.values()]
    assert {"NoNewPrivileges=true", "CapabilityBoundingSet=", "ProtectSystem=strict"} <= set(first)
    assert all(other == first for other in others)


def test_a_unit_that_lasts_is_started_again_and_given_the_time_to_stop() -> None:
    lasting = {role_of(unit): unit for unit in UNITS if role_of(unit) != "migrate"}
    for unit in lasting.values():
        assert setting(unit, "Restart") == "always"
        assert setting(unit, "Requires") == "orchestration-migrate.service"
        assert "orchestration-migrate.service" in setting(unit, "After").split()
    drain = Environment.model_fields["drain_seconds"].default
    assert float(setting(lasting["worker"], "TimeoutStopSec")) > drain + RELEASE_SECONDS
    assert float(setting(lasting["web"], "TimeoutStopSec")) > WebServer.GRACEFUL_SECONDS


def test_the_proxy_waits_for_longer_than_a_call_may_and_takes_no_less_than_the_site() -> None:
    text = NGINX.read_text()
    [seconds] = re.findall(r"proxy_read_timeout (\d+)s;", text)
    [longest] = [limit.le for limit in Environment.model_fields["wait_seconds"].metadata if hasattr(limit, "le")]
    assert int(seconds) > max(longest, HEARTBEAT_SECONDS)
    [megabytes] = re.findall(r"client_max_body_size (\d+)m;", text)
    assert int(megabytes) * 1024 * 1024 > settings.MAX_BODY_BYTES
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in text
    assert "proxy_next_upstream off;" in text


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx on this machine: apt install nginx")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    files = ["-keyout", f"{tmp_path}/privkey.pem", "-out", f"{tmp_path}/fullchain.pem"]
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=site.example", *files]
    subprocess.run(certificate, check=True, capture_output=True)  # noqa: S603 - our own words
    site = tmp_path / "site.conf"
    site.write_text(NGINX.read_text().replace("/etc/ssl/site.example/", f"{tmp_path}/"))
    whole = tmp_path / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    whole.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {folders} include {site}; }}"
    )
    done = subprocess.run(["nginx", "-t", "-c", whole], capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert done.returncode == 0, done.stderr


def test_the_document_names_services_and_units_that_there_are() -> None:
    typed = "\n".join(re.findall(r"^ {4}(\S.*)$", DOCUMENT, re.MULTILINE))
    named = re.findall(r"docker compose (?:logs|exec(?: -T)?|run --rm) (\w+)", typed)
    named += [name for names in re.findall(r"docker compose stop ([\w ]+)", typed) for name in names.split()]
    named += re.findall(r"--scale (\w+)=", typed)
    assert len(named) >= 8
    assert set(named) <= set(services())
    units = re.findall(r"orchestration-\w+@?", DOCUMENT)
    assert len(units) >= 8
    assert {unit + ".service" for unit in units} <= set(UNITS)


@pytest.mark.distributed
@pytest.mark.django_db(transaction=True)
def test_a_backup_restores_into_an_empty_database_and_over_a_full_one(postgres_url: str, tmp_path: Path) -> None:
    """The document's own commands, with this machine's programs in place of those within the container."""
    execution = make_queued(deployment := make_deployment())
    ProviderAccount.objects.create(name="theirs", kind="openai", api_key="sk-canary", team=deployment.team)
    dump, restored = tmp_path / "backup.dump", create_database(postgres_url, f"restored_{execution.id.hex[:8]}")
    source = f"{postgres_url}/{connection.settings_dict['NAME']}"
    run_documented("pg_dump", dump, database=source)
    for _ in range(2):
        run_documented("pg_restore", dump, database=restored)
    with psycopg.connect(source) as before, psycopg.connect(restored) as after:
        tables = [name for (name,) in before.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert len(tables) > 20
        for table in tables:
            rows = psycopg.sql.SQL("SELECT * FROM {} ORDER BY 1").format(psycopg.sql.Identifier(table))
            assert after.execute(rows).fetchall() == before.execute(rows).fetchall(), table
        assert indexes_of(after) == indexes_of(before)
        account = after.execute("SELECT * FROM designs_provideraccount").fetchone()
    assert account is not None
    assert "sk-canary" not in str(account), "without the keys it is not read"


def indexes_of(database: "psycopg.Connection[tuple[str, ...]]") -> list[tuple[str, ...]]:
    return database.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1").fetchall()


def run_documented(program: str, dump: Path, *, database: str) -> None:
    user, name = services()["postgres"]["environment"]["POSTGRES_USER"], "orchestration"
    words = [word for word in words_after(program) if word != f"--username={user}"]
    words = [f"--dbname={database}" if word in (name, f"--dbname={name}") else word for word in words]
    with dump.open("r+b" if dump.exists() else "x+b") as file:
        streams = {"stdout": file} if program == "pg_dump" else {"stdin": file}
        subprocess.run([find_postgres() / words[0], *words[1:]], check=True, **streams)  # type: ignore[call-overload]  # noqa: S603
