"""Configuration by the environment: its documents, secrets in files, and the sentences for what cannot be used."""

import re
from pathlib import Path

import pytest

from orchestration_site import environment as environment_module
from orchestration_site.allowed_values import words_of_allowed
from orchestration_site.data_folder import stop_unless_written
from orchestration_site.environment import SECRET_FIELDS, Environment, read_environment
from orchestration_site.given_variables import MAX_FILE_BYTES
from orchestration_site.proving.processes import private_environment
from orchestration_site.tests.configuration_documents import (
    DOCUMENT,
    EXAMPLE,
    SECTIONS,
    document_text,
    example_text,
)

FERNET = "RyytB7OJ-GjYlNLh8M5mXun_zwpfKiGgLgbUWSWkykE="
OTHER_FERNET = "3bDJp0LwJPZLJhAWuGZBgPVcWNGGkPhZJ8HTJQgFzNQ="
STRONG = "0123456789abcdef" * 4

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Environment.model_fields, *(f"{name}_file" for name in SECRET_FIELDS), "env_file"):
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's file, still empty."""
    path = tmp_path / "operators.env"
    path.touch()
    monkeypatch.setattr(environment_module, "ENV_FILE", path)
    monkeypatch.setitem(Environment.model_config, "env_file", path)
    return path


def refusals(capsys: Said) -> list[str]:
    """What is said when the start is refused, a line each."""
    with pytest.raises(SystemExit) as ended:
        read_environment()
    assert ended.value.code == 2
    *lines, last = capsys.readouterr().err.splitlines()
    assert "docs/configuration.md" in last
    return lines


def test_the_example_and_the_document_are_what_the_code_gives() -> None:
    assert EXAMPLE.read_text() == example_text(), "Type: make env-example"
    assert DOCUMENT.read_text() == document_text(), "Type: make env-example"


def test_both_name_each_variable_once_and_the_document_each_file() -> None:
    names = sorted(name.upper() for name in Environment.model_fields)
    assert sorted(re.findall(r"^# ([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)) == names
    rows = re.findall(r"^\| `([A-Z_]+)` \|(.*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == names
    with_file = {name for name, row in rows if f"`{name}_FILE`" in row}
    assert with_file == {name.upper() for name in SECRET_FIELDS}


def test_every_variable_says_what_it_is_for_and_what_it_takes() -> None:
    assert [name for name, field in Environment.model_fields.items() if not field.description] == []
    assert all(words_of_allowed(field) for field in Environment.model_fields.values())
    assert set(SECTIONS) <= set(Environment.model_fields)
    assert next(iter(SECTIONS)) == next(iter(Environment.model_fields)), "no variable is before the first heading"


def test_what_holds_a_password_counts_as_a_secret() -> None:
    telling = re.compile(r"password|secret|token$|_keys?$|_headers$|(database|broker|channel|email)_url")
    assert {name for name in Environment.model_fields if telling.search(name)} == SECRET_FIELDS


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_is_what_its_file_holds_without_the_line_break(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(f" {STRONG} {ending}".encode())
    monkeypatch.setenv("SECRET_KEY_FILE", str(path))
    read = read_environment().secret_key
    assert read is not None
    assert read.get_secret_value() == f" {STRONG} "


@pytest.mark.parametrize("name", sorted(SECRET_FIELDS))
def test_every_secret_may_stand_in_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "secret_key": STRONG,
        "encryption_keys": FERNET,
        "database_url": "postgres://a:b@c/d",
        "broker_url": "amqp://a:b@c/d",
        "channel_url": "redis://c:6379/0",
        "email_url": "smtp://a:b@c",
        "metrics_token": "a" * 20,
    }
    path = tmp_path / name
    path.write_text(value := values.get(name, "any text"))
    monkeypatch.setenv(f"{name}_file".upper(), str(path))
    read = getattr(read_environment(), name)
    shown = read.get_secret_value() if hasattr(read, "get_secret_value") else read
    assert shown == ([value] if name == "encryption_keys" else value)


def test_keys_may_stand_one_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{FERNET}\n{OTHER_FERNET}\n")
    monkeypatch.setenv("ENCRYPTION_KEYS_FILE", str(path))
    assert read_environment().encryption_keys == [FERNET, OTHER_FERNET]


def test_the_file_may_be_named_in_the_operators_file(env_file: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(STRONG)
    env_file.write_text(f"SECRET_KEY_FILE={tmp_path}/key\nPORT=8123\n")
    read = read_environment()
    assert read.secret_key is not None
    assert (read.secret_key.get_secret_value(), read.port) == (STRONG, 8123)


def test_a_secret_that_is_given_twice_is_refused(env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setenv("SECRET_KEY", STRONG)
    env_file.write_text(f"SECRET_KEY_FILE={env_file}\n")
    assert refusals(capsys) == ["SECRET_KEY_FILE cannot be used: SECRET_KEY is set as well. Unset one of them."]


def test_an_empty_variable_is_not_set(env_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(STRONG)
    env_file.write_text(f"SECRET_KEY\nSECRET_KEY_FILE={tmp_path}/key\n")
    monkeypatch.setenv("SECRET_KEY", "")
    monkeypatch.setenv("ENCRYPTION_KEYS_FILE", "")
    assert read_environment().secret_key is not None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "the file that it names cannot be read (No such file or directory)."),
        (b"", "the file that it names is empty."),
        (b"\n", "the file that it names is empty."),
        (b"\xff\xfe", "the file that it names holds no text in UTF-8."),
        (b"x" * (MAX_FILE_BYTES + 1), "the file that it names is too large for a secret."),
        (b"too-short", "it can be guessed; it needs 50 characters"),
    ],
)
def test_a_file_that_cannot_be_used_gets_a_sentence_that_shows_neither_it_nor_its_content(
    content: bytes | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    path = tmp_path / "canary"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SECRET_KEY_FILE", str(path))
    [line] = refusals(capsys)
    assert line.startswith(f"SECRET_KEY_FILE cannot be used: {sentence}")
    assert "canary" not in line
    assert "too-short" not in line


def test_a_folder_is_no_file_of_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path))
    [line] = refusals(capsys)
    assert line.startswith("OPENAI_API_KEY_FILE cannot be used: the file that it names cannot be read")


WRONG = {
    "PORT": ("70000", "PORT='70000' cannot be used: it takes a whole number from 0 to 65535."),
    "HTTPS": ("maybe", "HTTPS='maybe' cannot be used: it takes true or false."),
    "LOG_LEVEL": ("loud", "LOG_LEVEL='loud' cannot be used: it takes DEBUG, INFO, WARNING or ERROR."),
    "LEASE_SECONDS": ("inf", "LEASE_SECONDS='inf' cannot be used: it takes a number over 0."),
    "LIVE_CHECK_SECONDS": ("6", "LIVE_CHECK_SECONDS='6' cannot be used: it takes a number over 0 and 5 at most."),
    "EXECUTION_MAX_CALLS": ("0", "EXECUTION_MAX_CALLS='0' cannot be used: it takes a whole number from 1 up."),
    "EXECUTION_MAX_COST_USD": ("-1", "EXECUTION_MAX_COST_USD='-1' cannot be used: it takes a number from 0 up."),
    "SITE_URL": ("example.com", "SITE_URL='example.com' cannot be used: it takes https://host."),
    "EMAIL_FROM": ("us", "EMAIL_FROM='us' cannot be used: it takes name@host."),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "collector",
        "OTEL_EXPORTER_OTLP_ENDPOINT='collector' cannot be used: it takes http://host:4318.",
    ),
    "EXECUTION_MAX_PAYLOAD_BYTES": (
        "900000000",
        (
            "EXECUTION_PAYLOAD_CEILING_BYTES=268435456 cannot be used: it is less than EXECUTION_MAX_PAYLOAD_BYTES,"
            " which is 900,000,000; raise it, or lower that."
        ),
    ),
    "DEFAULT_MODEL": ("gpt", "DEFAULT_MODEL='gpt' cannot be used: it takes account:model."),
    "OPENAI_BASE_URL": (
        "localhost:11434",
        "OPENAI_BASE_URL='localhost:11434' cannot be used: it has to begin with https:// or http://.",
    ),
    "ALLOWED_HOSTS": (
        "a.example,https://b.example",
        (
            "ALLOWED_HOSTS='a.example,https://b.example' cannot be used: 'https://b.example' is no host name alone;"
            " leave out https:// and the port."
        ),
    ),
    "CSRF_TRUSTED_ORIGINS": (
        "a.example",
        "CSRF_TRUSTED_ORIGINS='a.example' cannot be used: 'a.example' does not begin with https://.",
    ),
    "TRUSTED_PROXIES": (
        "0.0.0.0/0",
        (
            "TRUSTED_PROXIES='0.0.0.0/0' cannot be used: it holds every address, so that any caller could say it came"
            " from another one."
        ),
    ),
    "DATABASE_URL": (
        "mysql://canary@a/b",
        "DATABASE_URL cannot be used: it has to begin with postgres:// or postgresql:// or sqlite://.",
    ),
    "BROKER_URL": (
        "redis://:canary/x@a",
        (
            "BROKER_URL cannot be used: it is no URL that can be read; in a password, characters other than letters and"
            " digits have to be percent-encoded (/ is %2F, @ is %40, # is %23)."
        ),
    ),
    "CHANNEL_URL": (
        "amqp://a",
        "CHANNEL_URL cannot be used: it has to begin with redis:// or rediss:// or unix://.",
    ),
    "SECRET_KEY": (
        "canary",
        (
            "SECRET_KEY cannot be used: it can be guessed; it needs 50 characters, and not always the same. Unset it to"
            " have one made, or take the output of: openssl rand -base64 48."
        ),
    ),
    "ENCRYPTION_KEYS": (
        f"{FERNET},canary",
        (
            "ENCRYPTION_KEYS cannot be used: key 2 is no Fernet key, which is 32 bytes in URL-safe base64. Take the"
            " output of: openssl rand -base64 32 | tr '+/' '-_'."
        ),
    ),
    "ADMIN_PASSWORD_FILE": (
        "/no/such/file",
        "ADMIN_PASSWORD_FILE cannot be used: the file that it names cannot be read (No such file or directory).",
    ),
}


def test_every_wrong_value_gets_its_sentence_at_once_and_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    for name, (value, _) in WRONG.items():
        monkeypatch.setenv(name, value)
    lines = refusals(capsys)
    assert sorted(lines) == sorted(sentence for _, sentence in WRONG.values())
    assert "canary" not in "".join(lines)


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"LEASE_SECONDS": "10"}, False),
        ({"LEASE_SECONDS": "9"}, True),
        ({"HEARTBEAT_SECONDS": "15"}, False),
        ({"HEARTBEAT_SECONDS": "16"}, True),
    ],
)
def test_a_lease_outlasts_two_heartbeats(
    values: dict[str, str], refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    if not refused:
        read_environment()
        return
    [line] = refusals(capsys)
    assert line.startswith("HEARTBEAT_SECONDS=")
    assert "half of LEASE_SECONDS at most" in line


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("DATABSE_URL", "DATABSE_URL is set, and nothing reads it. Is DATABASE_URL meant?"),
        ("ALLOWED_HOST", "ALLOWED_HOST is set, and nothing reads it. Is ALLOWED_HOSTS meant?"),
        ("SECRET_KEY_FIEL", "SECRET_KEY_FIEL is set, and nothing reads it. Is SECRET_KEY_FILE meant?"),
        ("MAX_CONCURENT_EXECUTION", "… Is MAX_CONCURRENT_EXECUTIONS meant?"),
        ("WAIT_SECONDS_FILE", "WAIT_SECONDS_FILE is not read: WAIT_SECONDS is no secret, and takes its value itself."),
    ],
)
@pytest.mark.parametrize("where", ["process", "file"])
def test_a_slip_of_the_fingers_is_warned_of(
    name: str, sentence: str, where: str, env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    if where == "process":
        monkeypatch.setenv(name, "canary")
    else:
        env_file.write_text(f"{name}=canary\n")
    read_environment()
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(sentence.removeprefix("… "))
    assert "canary" not in line


def test_what_systems_set_is_taken_for_no_slip(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    for name in (
        *(
            "HOSTNAME",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "LOGNAME",
            "REPORTTIME",
            "POSTGRES_PASSWORD",
            "HOSTTYPE",
        ),
        *("AWS_SECRET_ACCESS_KEY", "AZURE_OPENAI_API_KEY", "MISTRAL_API_KEY", "REDIS_URL", "KUBERNETES_SERVICE_HOST"),
        *("ORCHESTRATION_VERSION", "PUBLISH", "COMPOSE_PROJECT_NAME", "TEST_POSTGRES_URL", "DJANGO_SETTINGS_MODULE"),
    ):
        monkeypatch.setenv(name, "8000")
    read_environment()
    assert capsys.readouterr().err == ""


def test_a_file_of_the_operator_that_is_not_there_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    gone = tmp_path / "gone.env"
    monkeypatch.setenv("ENV_FILE", str(gone))
    monkeypatch.setattr(environment_module, "ENV_FILE", gone)
    assert refusals(capsys) == [f"ENV_FILE={str(gone)!r} cannot be used: No such file or directory."]


def test_a_data_folder_that_cannot_be_made_stops_the_start_with_a_sentence(tmp_path: Path, capsys: Said) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    with pytest.raises(SystemExit) as ended, stop_unless_written(folder):
        folder.mkdir(parents=True)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"DATA_DIR={str(folder)!r} cannot be used: ")


def test_private_systems_inherit_no_file_of_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", "/run/secrets/database_url")
    assert "DATABASE_URL_FILE" not in private_environment(tmp_path)
