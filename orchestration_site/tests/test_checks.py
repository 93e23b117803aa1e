"""A site that is not safe as it is set does not start, and says what to set; nothing else keeps it from starting."""

import os
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import SystemCheckError
from django.test import Client, override_settings

from orchestration_site.checks import is_loopback, require_safe_start, startup_messages
from orchestration_site.environment import BASE_DIR, Environment
from orchestration_site.proving.processes import MANAGE, private_environment

pytestmark = pytest.mark.without_database

FERNET = "RyytB7OJ-GjYlNLh8M5mXun_zwpfKiGgLgbUWSWkykE="
STRONG = "0123456789abcdef" * 4


def environment(**values: object) -> Environment:
    return Environment.model_validate({"env_file": os.devnull, **values})


def manage(folder: Path, *words: str, **variables: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own words
        [*MANAGE, *words],
        env=private_environment(folder, **variables),
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )


def told(host: str, **values: object) -> list[str]:
    with override_settings(ENVIRONMENT=environment(**values)):
        return [str(message.id) for message in startup_messages(host)]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - compared, not bound
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("example.org", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_on_ones_own_machine_everything_may_be_as_it_is() -> None:
    assert told("127.0.0.1", debug=True, allowed_hosts=["*"]) == []


def test_beyond_it_each_thing_that_is_unsafe_has_its_number() -> None:
    proxied = {"https": True, "trusted_proxies": ["192.0.2.1"]}
    assert told("192.0.2.9", **proxied) == []
    assert told("192.0.2.9", debug=True, **proxied) == ["orchestration.E001"]
    assert told("192.0.2.9", allowed_hosts=["*"], **proxied) == ["orchestration.E002"]
    assert told("192.0.2.9") == ["orchestration.W001"]
    assert told("127.0.0.1", https=True) == ["orchestration.E003"]


def test_an_error_stops_the_start_and_a_warning_is_shown() -> None:
    with override_settings(ENVIRONMENT=environment(debug=True)):
        with pytest.raises(SystemCheckError, match=r"E001.*\n.*Unset DEBUG"):
            require_safe_start("192.0.2.9")
        assert require_safe_start("127.0.0.1") == []
    with override_settings(ENVIRONMENT=environment()):
        (warning,) = require_safe_start("192.0.2.9")
        assert "W001" in warning


@pytest.mark.parametrize("command", ["web", "serve"])
def test_both_servers_make_these_checks(tmp_path: Path, command: str) -> None:
    done = manage(tmp_path, command, debug=True, host="0.0.0.0", port=0)  # noqa: S104 - it is what is refused
    assert done.returncode == 1
    assert "(orchestration.E001)" in done.stderr
    assert not (tmp_path / "db.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SECRET_KEY", "only-a-canary", "it can be guessed"),
        ("SECRET_KEY", "canary" * 6, "it can be guessed"),
        ("ENCRYPTION_KEYS", f"{FERNET},canary", "key 2 is no Fernet key"),
        ("DATABASE_POOL", "canary", "a whole number from 2 to 500"),
    ],
)
def test_a_wrong_value_stops_the_start_and_a_secret_one_is_not_shown(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    done = manage(tmp_path, "check", **{name: value})
    assert done.returncode == 2
    assert done.stderr.startswith(name)
    assert sentence in done.stderr
    assert ("canary" in done.stderr) is (name == "DATABASE_POOL")


def test_as_it_is_meant_to_run_it_has_nothing_to_be_warned_of(tmp_path: Path) -> None:
    secrets = {"secret_key": STRONG, "encryption_keys": FERNET}
    reached = {"https": "true", "trusted_proxies": "192.0.2.1", "host": "0.0.0.0", "allowed_hosts": "example.org"}  # noqa: S104 - checked, not bound
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **secrets, **reached)
    assert done.returncode == 0, done.stderr


def test_secrets_that_each_machine_makes_for_itself_are_warned_of_where_several_share_a_database() -> None:
    database = "postgres://db.example.org/site"
    for values, expected in (
        ({"database_url": database}, True),
        ({"database_url": database, "secret_key": STRONG, "encryption_keys": [FERNET]}, False),
        ({}, False),
    ):
        with override_settings(ENVIRONMENT=environment(**values)):
            found = [message.id for message in run_checks(tags=["security"], include_deployment_checks=True)]
        assert ("orchestration.W002" in found) is expected


def test_a_middleware_that_protects_and_is_gone_is_missed() -> None:
    kept = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    with override_settings(MIDDLEWARE=kept):
        found = run_checks(tags=["security"], include_deployment_checks=True)
    assert [message.msg for message in found if message.id == "orchestration.E004"] == [
        "MIDDLEWARE has no django.middleware.csrf.CsrfViewMiddleware."
    ]


def test_with_https_browsers_are_sent_there_and_told_to_stay(tmp_path: Path) -> None:
    code = (
        "from django.test import Client; r = Client().get('/sign-in'); print(r.status_code, r['Location']);"
        "r = Client().get('/sign-in', secure=True);"
        "print(r['Strict-Transport-Security'], r.cookies['csrftoken']['secure'])"
    )
    done = manage(
        tmp_path, "shell", "-v0", "-c", code, https="true", trusted_proxies="192.0.2.1", allowed_hosts="testserver"
    )
    assert done.stdout.splitlines()[-2:] == ["301 https://testserver/sign-in", "max-age=31536000 True"], done.stderr
    assert "Strict-Transport-Security" not in Client().get("/sign-in")
