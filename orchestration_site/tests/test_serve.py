"""What `make run` promises: says where it is and how to sign in, explains what is in its way, ends cleanly."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration_site.tests.servers import free_port
from orchestration_site.tests.sites import MANAGE, Process, Site, site_environment, wait_for_url, wait_until_ready

PASSWORD_LINE = re.compile(r"Sign in as admin:\s+([a-z2-9]{19})\s")


class Serving:
    """`manage.py serve` on a folder of its own, as often as a test starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[Process] = []

    def start(self, **variables: object) -> tuple[str, Process]:
        """Start it and wait until it is ready; its URL."""
        logs = self.folder / f"start-{len(self.processes)}"
        logs.mkdir()
        env = site_environment(self.folder / "data", **{"PORT": 0, **variables})
        process = Process.start("serve", [*MANAGE, "serve"], env, logs)
        self.processes.append(process)
        url = wait_for_url(process)
        wait_until_ready(url, process)
        return url, process


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(tmp_path)
    yield serving
    for process in serving.processes:
        process.stop(signal.SIGKILL)


def run_serve(folder: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    """Start it where it cannot run; what it says."""
    return subprocess.run(  # noqa: S603 - our own words
        [*MANAGE, "serve"], env=site_environment(folder, **variables), capture_output=True, text=True, check=False
    )


def get(url: str) -> tuple[int, dict[str, str], Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own http URL
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), json.loads(error.read())


def can_sign_in(folder: Path, password: str) -> bool:
    code = (
        "import django; django.setup();from django.contrib.auth import authenticate;"
        f"print(authenticate(username='admin', password={password!r}) is not None)"
    )
    env = site_environment(folder) | {"DJANGO_SETTINGS_MODULE": "orchestration_site.settings"}
    done = subprocess.run(  # noqa: S603 - our own words
        [MANAGE[0], "-c", code], env=env, capture_output=True, text=True, check=True, cwd=Path(MANAGE[1]).parent
    )
    return done.stdout.strip() == "True"


@pytest.mark.embedded
def test_the_first_start_prints_a_password_that_signs_in_and_the_second_none(serving: Serving) -> None:
    _, first = serving.start()
    first.stop()
    _, second = serving.start()
    second.stop()

    printed = PASSWORD_LINE.search(first.log.read_text())
    assert printed
    assert can_sign_in(serving.folder / "data", printed.group(1))
    assert PASSWORD_LINE.search(second.log.read_text()) is None
    assert printed.group(1) not in second.log.read_text()
    assert "make password" in second.log.read_text()


@pytest.mark.embedded
def test_the_operators_password_is_taken_and_never_printed(serving: Serving) -> None:
    _, process = serving.start(ADMIN_PASSWORD="chosen by the operator")
    process.stop()

    assert "chosen by the operator" not in process.log.read_text()
    assert can_sign_in(serving.folder / "data", "chosen by the operator")


@pytest.mark.embedded
def test_a_lost_password_is_replaced_by_a_command_that_prints_the_new_one(tmp_path: Path) -> None:
    env = site_environment(tmp_path)
    for words in (["setup"], ["reset_admin_password"]):
        done = subprocess.run([*MANAGE, *words], env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own words

    password = re.search(r"password (\w+)", done.stdout)
    assert password
    assert can_sign_in(tmp_path, password.group(1))


@pytest.mark.embedded
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_status_0_and_no_traceback_when_told_to_stop(serving: Serving, number: signal.Signals) -> None:
    _, process = serving.start()

    assert process.stop(number) == 0
    assert "Traceback" not in process.log.read_text()


@pytest.mark.embedded
def test_it_can_be_started_again_after_it_was_killed(serving: Serving) -> None:
    _, process = serving.start()
    process.stop(signal.SIGKILL)

    url, _ = serving.start()

    assert get(f"{url}/livez")[0] == 200


def test_a_taken_port_gets_one_sentence_that_says_what_to_type(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_serve(tmp_path, PORT=port)

    assert done.returncode == 1
    found = re.fullmatch(
        rf"CommandError: Port {port} is taken by another program\. Type: PORT=(\d+) make run\n", done.stderr
    )
    assert found
    assert int(found.group(1)) != port
    assert done.stdout == ""


@pytest.mark.embedded
def test_a_second_start_on_the_same_folder_gets_one_sentence_that_names_the_first(serving: Serving) -> None:
    _, first = serving.start()

    done = run_serve(serving.folder / "data", PORT=0)

    assert done.returncode == 1
    assert done.stderr.startswith(
        f"CommandError: Process {first.running.pid} runs on {serving.folder / 'data'} already."
    )
    assert done.stderr.count("\n") == 1
    assert first.running.poll() is None


def test_an_address_that_is_not_ours_gets_one_sentence(tmp_path: Path) -> None:
    done = run_serve(tmp_path, HOST="192.0.2.1", PORT=0)

    assert done.returncode == 1
    assert re.fullmatch(r"CommandError: 192\.0\.2\.1 is not an address of this machine .* make run\n", done.stderr)


def test_a_wrong_value_stops_the_start_with_a_sentence_that_names_it(tmp_path: Path) -> None:
    done = run_serve(tmp_path, PORT="many")

    assert done.returncode == 2
    assert done.stderr.startswith("PORT='many' cannot be used: ")
    assert "Traceback" not in done.stderr


@pytest.mark.embedded
def test_what_the_user_deleted_is_not_made_again_by_the_next_start(serving: Serving) -> None:
    _, process = serving.start()
    process.stop()
    with sqlite3.connect(serving.folder / "data" / "orchestration.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM deployments_deployment").fetchone()[0] >= 10
        database.execute("UPDATE deployments_deployment SET deleted_at = created_at")
        database.execute("UPDATE designs_orchestrationdesign SET name = 'mine'")

    _, process = serving.start()
    process.stop()

    with sqlite3.connect(serving.folder / "data" / "orchestration.sqlite3") as database:
        live = database.execute("SELECT count(*) FROM deployments_deployment WHERE deleted_at IS NULL").fetchone()[0]
        names = database.execute("SELECT DISTINCT name FROM designs_orchestrationdesign").fetchall()
    assert live == 0
    assert names == [("mine",)]


@pytest.mark.embedded
def test_the_call_that_it_prints_works_as_pasted(serving: Serving) -> None:
    """But for `make -s key`, which stands for the command that it runs."""
    _, process = serving.start()
    printed = re.search(r"^  (curl .*)$", process.log.read_text(), re.MULTILINE)
    assert printed
    key_command = f"{MANAGE[0]} {MANAGE[1]} create_key first"

    done = subprocess.run(  # noqa: S603 - our own words
        ["/bin/sh", "-c", printed.group(1).replace("make -s key NAME=first", key_command)],
        env=site_environment(serving.folder / "data"),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["status"] == "completed", done.stdout


def test_a_probe_is_answered_whatever_host_it_names(site: Site) -> None:
    request = urllib.request.Request(f"{site.base_url}/livez", headers={"Host": "10.1.2.3"})  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own http URL
        assert answer.status == 200


def test_a_ready_site_names_its_parts(site: Site) -> None:
    status, _, document = get(f"{site.base_url}/readyz")

    assert status == 200
    assert document["status"] == "ready"
    assert set(document["checks"]) == {"database", "migrations", "broker", "channel_layer"}
    assert all(check == {"ok": True, "away_since": None} for check in document["checks"].values())


@pytest.mark.distributed
def test_a_site_says_which_part_is_away_and_since_when(postgres_url: str, tmp_path: Path) -> None:
    gone = f"redis://127.0.0.1:{free_port()}/0"
    code = (
        "import asyncio, json, django; django.setup()\n"
        "from orchestration_site.health import site_readiness\n"
        "print(json.dumps({n: s and s.isoformat() for n, s in asyncio.run(site_readiness().parts()).items()}))"
    )
    env = site_environment(tmp_path, DATABASE_URL=f"{postgres_url}/postgres", BROKER_URL=gone, CHANNEL_URL=gone)
    done = subprocess.run(  # noqa: S603 - our own words
        [MANAGE[0], "-c", code],
        env=env | {"DJANGO_SETTINGS_MODULE": "orchestration_site.settings"},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(MANAGE[1]).parent,
    )

    parts = json.loads(done.stdout)
    assert parts.pop("database") is None
    assert set(parts) == {"migrations", "broker", "channel_layer"}
    assert all(parts.values())
