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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration_site.proving.processes import MANAGE, Process, wait_for_url, wait_until_ready
from orchestration_site.proving.servers import free_port
from orchestration_site.tests.sites import Site, site_environment

pytestmark = pytest.mark.long
PASSWORD_LINE = re.compile(r"Sign in as admin:\s+([a-z2-9]{19})\s")


@dataclass
class Life:
    """An installation that is started three times: fresh and stopped, again and killed, again and interrupted.

    In between the user undeploys the samples. What is tested of it is noted on the way.
    """

    folder: Path
    logs: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    printed_password: str = ""
    signed_in: dict[str, bool] = field(default_factory=dict)
    printed_call: dict[str, Any] = field(default_factory=dict)
    second_of_two: subprocess.CompletedProcess[str] | None = None
    owner: int = 0
    deployed_at_first: int = 0
    left_at_last: list[tuple[str]] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.folder / "orchestration.sqlite3"


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    life = Life(tmp_path_factory.mktemp("life") / "data")
    process = start(life)
    try:
        live_first_day(life, process)
        process.stop(signal.SIGKILL)
        process = start(life)
        live_last_day(life, process)
        yield life
    finally:
        process.stop(signal.SIGKILL)


def live_first_day(life: Life, process: Process) -> None:
    url = wait_for_url(process)
    printed = PASSWORD_LINE.search(process.log.read_text())
    life.printed_password = printed.group(1) if printed else ""
    life.signed_in["printed"] = can_sign_in(url, life.printed_password)
    life.signed_in["wrong"] = can_sign_in(url, "wrong")
    life.printed_call = make_printed_call(life, process)
    life.owner = process.running.pid
    life.second_of_two = run_serve(life.folder, PORT=0)
    end(life, process, signal.SIGTERM)
    with sqlite3.connect(life.database) as database:
        life.deployed_at_first = database.execute("SELECT count(*) FROM deployments_deployment").fetchone()[0]
        database.execute("UPDATE deployments_deployment SET deleted_at = created_at")
        database.execute("UPDATE designs_orchestrationdesign SET name = 'mine'")
    process.restart()
    wait_until_ready(wait_for_url(process), process)


def live_last_day(life: Life, process: Process) -> None:
    reset = run_manage(life.folder, "reset_admin_password")
    new = re.search(r"password (\w+)", reset.stdout)
    url = wait_for_url(process)
    life.signed_in["reset"] = can_sign_in(url, new.group(1) if new else "")
    life.signed_in["lost"] = can_sign_in(url, life.printed_password)
    end(life, process, signal.SIGINT)
    with sqlite3.connect(life.database) as database:
        live = database.execute("SELECT endpoint_path FROM deployments_deployment WHERE deleted_at IS NULL")
        life.left_at_last = [*live, *database.execute("SELECT DISTINCT name FROM designs_orchestrationdesign")]


def start(life: Life) -> Process:
    logs = life.folder.parent / f"start-{len(life.logs)}"
    logs.mkdir()
    process = Process.start("serve", [*MANAGE, "serve"], site_environment(life.folder, PORT=0), logs)
    wait_until_ready(wait_for_url(process), process)
    return process


def end(life: Life, process: Process, number: signal.Signals) -> None:
    life.statuses.append(process.stop(number))
    life.logs.append(process.log.read_text())
    process.log.write_text("")


def run_manage(folder: Path, *words: str, **variables: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own words
        [*MANAGE, *words], env=site_environment(folder, **variables), capture_output=True, text=True, check=False
    )


def run_serve(folder: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    """Start it where it cannot run; what it says."""
    return run_manage(folder, "serve", **variables)


def make_printed_call(life: Life, process: Process) -> dict[str, Any]:
    """The call as it is pasted, but for `make -s key`, which stands for the command that it runs."""
    printed = re.search(r"^  (curl .*)$", process.log.read_text(), re.MULTILINE)
    line = printed.group(1) if printed else "echo {}"
    key_command = f"{MANAGE[0]} {MANAGE[1]} create_key first"
    done = subprocess.run(  # noqa: S603 - our own words
        ["/bin/sh", "-c", line.replace(f"make -s key NAME=first DATA_DIR={life.folder}", key_command)],
        env=site_environment(life.folder),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def can_sign_in(url: str, password: str) -> bool:
    """Whether the admin's own form lets `admin` in."""
    with httpx.Client(base_url=url) as browser:
        browser.get("/admin/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        answer = browser.post("/admin/login/?next=/admin/", data=form)
        return answer.status_code == 302 and browser.get("/admin/").status_code == 200


def get(url: str) -> tuple[int, dict[str, str], Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own http URL
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), json.loads(error.read())


@pytest.mark.embedded
class TestLife:
    def test_the_first_start_prints_a_password_that_signs_in(self, life: Life) -> None:
        assert life.printed_password
        assert life.signed_in["printed"] is True
        assert life.signed_in["wrong"] is False

    def test_later_starts_print_none_and_say_how_to_replace_it(self, life: Life) -> None:
        assert PASSWORD_LINE.search(life.logs[-1]) is None
        assert life.printed_password not in life.logs[-1]
        assert "make password" in life.logs[-1]

    def test_a_lost_password_is_replaced_by_a_command_that_prints_the_new_one(self, life: Life) -> None:
        assert life.signed_in["reset"] is True
        assert life.signed_in["lost"] is False

    def test_the_call_that_it_prints_works_as_pasted(self, life: Life) -> None:
        assert life.printed_call["status"] == "completed"

    def test_it_ends_with_status_0_and_no_traceback_on_sigterm_and_on_ctrl_c(self, life: Life) -> None:
        assert life.statuses == [0, 0]
        assert not [log for log in life.logs if "Traceback" in log]

    def test_it_starts_again_after_it_was_killed(self, life: Life) -> None:
        assert "The site is running" in life.logs[-1]

    def test_a_second_start_on_the_same_folder_gets_one_sentence_that_names_the_first(self, life: Life) -> None:
        assert life.second_of_two is not None
        assert life.second_of_two.returncode == 1
        said = life.second_of_two.stderr
        assert said.startswith(f"CommandError: Process {life.owner} runs on {life.folder} already. Stop it, or type: ")
        assert said.count("\n") == 1

    def test_the_samples_are_deployed_at_first_and_what_the_user_deleted_is_not_made_again(self, life: Life) -> None:
        assert life.deployed_at_first >= 10
        assert life.left_at_last == [("mine",)]


def test_the_operators_password_signs_in_and_is_never_printed(embedded_site: Site) -> None:
    assert can_sign_in(embedded_site.base_url, embedded_site.admin_password)
    assert embedded_site.admin_password not in embedded_site.processes["serve"].log.read_text()


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


def test_an_address_that_is_not_ours_gets_one_sentence(tmp_path: Path) -> None:
    done = run_serve(tmp_path, HOST="192.0.2.1", PORT=0)

    assert done.returncode == 1
    assert re.fullmatch(r"CommandError: 192\.0\.2\.1 is not an address of this machine .* make run\n", done.stderr)


def test_a_key_for_a_site_that_was_never_started_gets_one_sentence(tmp_path: Path) -> None:
    done = run_manage(tmp_path, "create_key", "crm")

    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(
        r"CommandError: SQLite at .* cannot be used \(.*\)\. If it is new, type: make run\. Else .*\n", done.stderr
    )


def test_a_wrong_value_stops_the_start_with_a_sentence_that_names_it(tmp_path: Path) -> None:
    done = run_serve(tmp_path, PORT="many")

    assert done.returncode == 2
    assert done.stderr.startswith("PORT='many' cannot be used: ")
    assert "Traceback" not in done.stderr


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
