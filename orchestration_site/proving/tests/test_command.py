"""`manage.py prove` as it is typed: what it says, what it ends with, and that it leaves nothing behind."""

import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from orchestration_site.environment import BASE_DIR
from orchestration_site.management.commands import prove as command
from orchestration_site.proving import rabbitmq as rabbitmq_module
from orchestration_site.proving import servers
from orchestration_site.proving.processes import MANAGE, Process, private_environment
from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios import SCENARIOS
from orchestration_site.proving.stack import Stack
from orchestration_site.proving.tests.records import make_findings, make_record
from orchestration_site.proving.verdict import Promise, Verdict

QUICKLY = {"LEASE_SECONDS": 4, "HEARTBEAT_SECONDS": 0.8, "SWEEP_SECONDS": 0.3}


def verdict(*, kept: bool) -> Verdict:
    return Verdict("worker-killed", "embedded", make_findings(make_record()), 1, (Promise("it holds", kept=kept),))


@pytest.mark.parametrize(
    ("target", "server", "package"),
    [("distributed", "PostgreSQL", "postgresql"), ("rabbitmq", "RabbitMQ", "rabbitmq-server")],
)
def test_a_missing_server_gets_one_sentence_that_says_what_to_install(
    target: str, server: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(servers, "_package_folders", lambda name: [])
    monkeypatch.setattr(servers, "DEBIANS_POSTGRES", tmp_path)
    monkeypatch.setattr(rabbitmq_module, "SERVERS", ())
    with pytest.raises(CommandError, match=rf"^There is no {server} on this machine\. .*sudo apt install {package}"):
        call_command("prove", target=target)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--target", "cloud"], "embedded, distributed, rabbitmq or a URL"),
        (["--target", "http://127.0.0.1:1"], "needs --key"),
        (["--target", "http://127.0.0.1:1", "--key", "k", "--scenario", "broker-away"], "worker-killed"),
        (["--target", "embedded", "--scenario", "broker-away"], "distributed, rabbitmq"),
        (["--target", "http://127.0.0.1:1", "--key", "k", "--executions", "1"], "answered with nothing"),
    ],
)
def test_what_cannot_be_proved_gets_a_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=re.escape(sentence)):
        call_command("prove", *words)


def test_a_broken_promise_ends_in_status_1_and_the_table_says_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "prove", lambda *_, **__: iter([verdict(kept=True), verdict(kept=False)]))
    with pytest.raises(SystemExit) as end:
        call_command("prove")
    assert end.value.code == 1
    assert "BROKEN in worker-killed on embedded: it holds" in capsys.readouterr().out
    monkeypatch.setattr(command, "prove", lambda *_, **__: iter([verdict(kept=True)]))
    call_command("prove")


def test_every_scenario_has_its_sentence_and_its_targets() -> None:
    for name, scenario in SCENARIOS.items():
        assert scenario.shows.endswith("."), name
        assert scenario.targets, name


@pytest.mark.durability
def test_it_tells_its_seed_and_its_progress_and_ends_in_a_table(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        [*MANAGE, "prove", "--executions", "30", "--kill-every", "1", "--seed", "42"],
        env=private_environment(tmp_path, **QUICKLY),
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Seed 42" in done.stderr
    assert "worker-1 killed (kill 1)" in done.stderr
    heading, line = done.stdout.splitlines()
    assert heading.split()[:3] == ["scenario", "target", "accepted"]
    assert line.split()[:4] == ["worker-killed", "embedded", "30", "30"]


@pytest.mark.durability
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_ends_all_that_it_started(number: signal.Signals, tmp_path: Path) -> None:
    words = [*MANAGE, "prove", "--target", "distributed", "--executions", "1000"]
    process = Process.start("prove", words, private_environment(tmp_path, **QUICKLY), tmp_path)
    process.wait_for_line(re.compile(r"accepted \d"))
    started = psutil.Process(process.running.pid).children(recursive=True)
    assert len(started) >= 6  # two servers, web, three workers, and what these have started
    assert process.stop(number) == 130
    assert psutil.wait_procs(started, timeout=10)[1] == []
    assert "Everything that was started has been ended" in process.said()


@contextmanager
def restarted_when_killed(worker: Process, pid: Path, stack: Stack) -> Iterator[list[int]]:
    """Meanwhile the worker is started again each time that it ends; the statuses that it ended with."""
    is_over, ends = threading.Event(), list[int]()

    def watch() -> None:
        while not is_over.wait(0.1):
            if (status := worker.running.poll()) is not None:
                ends.append(status)
                worker.restart()
                pid.write_text(str(worker.running.pid))

    pid.write_text(str(worker.running.pid))
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield ends
    finally:
        is_over.set()
        thread.join()
        stack.end_workers()


@pytest.mark.durability
def test_a_site_of_somebody_else_is_judged_by_what_it_shows(
    embedded: Stack, provider: ScriptedProvider, tmp_path: Path
) -> None:
    """It is killed by the operator's own command; what is repeated is read from its journals."""
    worker, pid = embedded.add_worker(), tmp_path / "pid"
    embedded.wait_for(worker)
    words = ["--target", embedded.base_url, "--key", embedded.make_key(), "--model", "openai:proof"]
    killing = ["--executions", "120", "--kill-every", "3", "--kill-command", f"kill -9 $(cat {pid})"]
    before = provider.total()[1]
    with restarted_when_killed(worker, pid, embedded) as ends:
        done = subprocess.run(  # noqa: S603 - our own words
            [*MANAGE, "prove", *words, *killing],
            env=private_environment(tmp_path),
            cwd=BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    cells = done.stdout.splitlines()[1].split()
    assert cells[:8] == ["worker-killed", embedded.base_url, "120", "120", "0", "0", "0", "0"]
    kills, repeated = int(cells[8]), int(cells[9])
    assert kills == len(ends) >= 1
    assert repeated >= provider.total()[1] - before > 0


def test_a_private_system_takes_over_how_this_one_runs_executions_and_not_where() -> None:
    assert "lease_seconds" in command.TAKEN_OVER
    assert not {"database_url", "broker_url", "channel_url", "data_dir", "port"} & set(command.TAKEN_OVER)
