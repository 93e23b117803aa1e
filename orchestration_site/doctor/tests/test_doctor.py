"""Each check tells a part that is well from one that is really broken, and says how to mend it."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings
from django.utils import timezone

from access.models import Team
from deployments.models import BeatLease, WorkerProcess
from deployments.tests.builders import make_schedule
from deployments.tests.test_presence import make_worker
from designs.models import ProviderAccount
from orchestration_site import factories
from orchestration_site.doctor import checks
from orchestration_site.doctor.checks import CHECKS
from orchestration_site.doctor.findings import Check, Finding, State, examine
from orchestration_site.doctor.tests.fake_redis import run_redis_with_clock
from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.processes import private_environment
from orchestration_site.proving.servers import RedisServer, run_server
from orchestration_site.tests.sites import Site


def look(name: str) -> Finding:
    """What the check of that name finds by itself."""
    (check,) = [each for each in CHECKS if each.name == name]
    [(_, finding)] = examine([Check(check.name, check.look, check.mend)])
    return finding


def assert_told(name: str, state: State, *words: str) -> None:
    finding = look(name)
    assert finding.state == state, finding
    assert bool(finding.mend) == (state != "ok"), finding
    for word in words:
        assert word in f"{finding.told} {finding.mend}"


def change_environment(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=changes))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with run_server(RedisServer) as server:
        yield server


class TestRedis:
    def test_a_broker_that_is_stopped(self, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(current_app.conf, "broker_write_url", f"{redis.url}/0")
        assert_told("broker", "ok", "redis")
        redis.crash()
        assert_told("broker", "fails", "BROKER_URL")

    def test_a_channel_layer_that_is_stopped(self, redis: RedisServer) -> None:
        with override_settings(CHANNEL_LAYERS=factories.channel_layers(f"{redis.url}/0")):
            assert_told("channel layer", "ok", "went through")
            redis.crash()
            assert_told("channel layer", "fails", "CHANNEL_URL")

    def test_a_channel_layer_that_loses_what_it_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def lose(*_: object) -> None:
            pass

        monkeypatch.setattr(checks, "MESSAGE_SECONDS", 0.1)
        assert_told("channel layer", "ok")
        monkeypatch.setattr("orchestration_site.inprocess_layer.InProcessChannelLayer.group_send", lose)
        assert_told("channel layer", "fails", "TimeoutError")


@pytest.mark.django_db
class TestDatabase:
    def test_a_migration_that_is_not_applied(self) -> None:
        assert_told("migrations", "ok")
        MigrationRecorder(connection).record_unapplied("access", "0005_audit_way_of_commands")
        assert_told("migrations", "fails", "1 migrations", "access 0005_audit_way_of_commands", "manage.py setup")

    def test_workers(self) -> None:
        assert_told("workers", "fails", "make worker")
        worker = make_worker()
        assert_told("workers", "ok", "1")
        make_worker("host-b:2:bb", seen_at=timezone.now() - timedelta(minutes=10))
        assert_told("workers", "warning", "Lost in the last day: 1", "memory")
        WorkerProcess.objects.exclude(id=worker.id).update(seen_at=timezone.now() - timedelta(hours=2))
        assert_told("workers", "ok", "Lost in the last day: 1")
        WorkerProcess.objects.filter(id=worker.id).update(drain_requested_at=timezone.now(), rests=True)
        assert_told("workers", "fails", "1 rest", "--resume all")

    def test_beats(self) -> None:
        assert_told("beat", "warning", "make beat")
        make_schedule()
        assert_told("beat", "fails", "1 schedules wait")
        lease = BeatLease.objects.create(
            name="foreign entries", owner="a", expires_at=timezone.now() + timedelta(minutes=1)
        )
        assert_told("beat", "ok", "1 schedules")
        BeatLease.objects.filter(name=lease.name).update(expires_at=timezone.now() - timedelta(seconds=5))
        assert_told("beat", "fails", "No beat runs")

    def test_a_schedule_that_nobody_fires(self) -> None:
        BeatLease.objects.create(name="foreign entries", owner="a", expires_at=timezone.now() + timedelta(minutes=1))
        make_schedule(after=timezone.now() - timedelta(minutes=5))
        assert_told("beat", "fails", "is due since")

    def test_a_key_that_does_not_open_what_is_stored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert_told("encryption keys", "ok", "all 0")
        ProviderAccount.objects.create(team=Team.default(), name="one", kind="openai", api_key="secret")
        assert_told("encryption keys", "ok", "all 1")
        kept = settings.ENCRYPTION_KEYS
        monkeypatch.setattr(settings, "ENCRYPTION_KEYS", [Fernet.generate_key().decode()])
        assert_told("encryption keys", "fails", "1 of 1", "provider account", "ENCRYPTION_KEYS")
        monkeypatch.setattr(settings, "ENCRYPTION_KEYS", [*settings.ENCRYPTION_KEYS, *kept])
        assert_told("encryption keys", "ok", "all 1")

    @pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (3, "warning"), (60, "fails"), (-60, "fails")])
    def test_the_clock_of_this_process(self, seconds: int, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
        right = timezone.now
        monkeypatch.setattr(timezone, "now", lambda: right() - timedelta(seconds=seconds))
        words = [] if state == "ok" else ["the database", "ahead of" if seconds > 0 else "behind"]
        assert_told("clocks", state, *words)

    @pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (-60, "fails")])
    def test_the_clock_of_a_redis(self, seconds: int, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
        with run_redis_with_clock(seconds) as url:
            monkeypatch.setattr(settings, "REDIS_SERVERS", factories.redis_servers("inprocess://", url, url))
            assert_told("clocks", state, "Redis at 127.0.0.1:")

    def test_a_redis_that_is_stopped(self, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "REDIS_SERVERS", factories.redis_servers(f"{redis.url}/0"))
        assert_told("clocks", "ok", "Redis at")
        redis.crash()
        assert_told("clocks", "fails")


class TestSettings:
    @pytest.mark.parametrize(
        ("total", "free", "state"),
        [
            (100_000, 3_000, "ok"),
            (100_000, 1_000, "warning"),
            (100_000, 100, "fails"),
            (64, 60, "ok"),
            (64, 10, "warning"),
            (64, 5, "fails"),
        ],
    )
    def test_a_data_folder_with_much_or_little_room(
        self, total: int, free: int, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
        seen = (total * checks.MEGABYTE, 0, free * checks.MEGABYTE)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: seen)
        assert_told("disk", state, *([] if state == "ok" else ["manage.py retain"]))
        assert list(tmp_path.iterdir()) == []

    def test_a_data_folder_that_is_gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "DATA_DIR", tmp_path / "gone")
        assert_told("disk", "fails", "DATA_DIR")

    @pytest.mark.django_db
    def test_a_default_model_without_an_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert_told("default model", "ok", "offline:demo")
        change_environment(monkeypatch, default_model="mine:best")
        assert_told("default model", "warning", "in default", "no account 'mine'", "make the account")
        fields = {"name": "mine", "kind": "openai", "base_url": "https://example.com/v1", "api_key": "sk-x"}
        ProviderAccount.objects.create(team=Team.default(), **fields)
        assert_told("default model", "ok", "mine:best")

    def test_a_weak_secret_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        change_environment(monkeypatch, database_url="")
        assert_told("secrets", "ok")
        monkeypatch.setattr(settings, "SECRET_KEY", "short")
        assert_told("secrets", "warning", "SECRET_KEY")

    def test_keys_that_another_machine_does_not_have(self, monkeypatch: pytest.MonkeyPatch) -> None:
        change_environment(monkeypatch, database_url="postgres://one@two/three")
        assert_told("secrets", "warning", "ENCRYPTION_KEYS")

    def test_hosts_and_proxies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert_told("hosts and proxies", "ok", "localhost")
        change_environment(monkeypatch, host="0.0.0.0")  # noqa: S104 - nothing listens there
        assert_told("hosts and proxies", "warning", "HTTPS")
        change_environment(monkeypatch, https=True)
        assert_told("hosts and proxies", "fails", "TRUSTED_PROXIES")


def test_what_needs_a_part_that_fails_is_not_looked_at_and_credentials_stay_in() -> None:
    def fail() -> Finding:
        raise ConnectionError("postgres://user:S3cret@host/name refuses\nand more")

    looked: list[str] = []

    def note() -> Finding:
        looked.append("looked")
        return Finding("ok", "Fine.")

    found = dict(examine([Check("a", fail, "Start it."), Check("b", note, "", needs=("a",)), Check("c", note, "")]))
    assert found["a"] == Finding("fails", "ConnectionError: postgres://…@host/name refuses", "Start it.")
    assert (found["b"].state, found["c"].state, looked) == ("warning", "ok", ["looked"])


def test_without_a_database_the_rest_is_looked_at_and_the_status_is_1(tmp_path: Path) -> None:
    env = private_environment(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/no/such/folder/x.sqlite3")
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"], cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    states = {line[9:27].strip(): line[:8].strip() for line in done.stdout.splitlines() if line[:1].strip()}
    assert states["database"] == "fails"
    assert (states["migrations"], states["workers"]) == ("warning", "warning")
    assert (states["broker"], states["channel layer"], states["disk"]) == ("ok", "ok", "ok")
    assert list(states) == [check.name for check in CHECKS]
    assert "DATABASE_URL" in done.stdout


def test_on_a_site_that_runs_nothing_fails_as_the_document_types_it(site: Site) -> None:
    text = (BASE_DIR / "docs/commands.md").read_text()
    typed = [
        shlex.split(line)[2:] for line in text.splitlines() if line.startswith("    .venv/bin/python manage.py doctor")
    ]
    assert [words[1:] for words in typed] == [[], ["--json"]]
    lines, found = site.run_manage(*typed[0]), json.loads(site.run_manage(*typed[1]))
    assert "fails" not in lines
    assert found["ok"] is True
    assert list(found["checks"]) == [check.name for check in CHECKS]
    assert {found["checks"][name]["state"] for name in ("database", "migrations", "broker", "channel layer")} == {"ok"}
    assert {found["checks"][name]["state"] for name in ("workers", "beat", "clocks")} <= {"ok", "warning"}
