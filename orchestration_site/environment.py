"""What the operator sets: every variable of the environment with its type, default and meaning.

Read from the process environment and from the file `.env` beside `manage.py`, or the one that ENV_FILE names; the
environment wins. A secret may stand in a file that a variable with `_FILE` at its end names. Wrong values stop the
start, with a sentence for each.
"""

import os
import sys
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration_site.allowed_values import (
    BrokerUrl,
    ChannelUrl,
    CommaList,
    DatabaseUrl,
    HostNames,
    MailUrl,
    Networks,
    Origins,
    ProxyNetworks,
    Takes,
    WebUrl,
    words_of_allowed,
)
from orchestration_site.given_variables import given_variables, misspelt_variables, read_secret_files

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_FILE = Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env")

MIN_SECRET_CHARACTERS = 50  # as Django wants them
MIN_SECRET_VARIETY = 8
MIN_TOKEN_CHARACTERS = 20
#: A lease outlasts so many heartbeats: one that is late costs no execution.
HEARTBEATS_IN_A_LEASE = 2


class Environment(BaseSettings):
    """The variables. A field's name in capitals is the variable's name."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, extra="ignore", env_ignore_empty=True, allow_inf_nan=False)

    host: str = Field(default="127.0.0.1", description="Address that the web server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the web server listens on.")
    allowed_hosts: HostNames = Field(
        default=[], description="Host names that this site answers to, with commas between; loopback always."
    )
    csrf_trusted_origins: Origins = Field(
        default=[], description="Origins (https://…) that browsers may post from, when a proxy ends TLS."
    )
    site_url: Annotated[str, Takes("https://host")] = Field(
        default="",
        pattern=r"^(https?://[^\s/?#]+/?)?$",
        description="Where people reach this site, as https://host: links in alerts begin with it. Without it they are"
        " paths.",
    )
    trusted_proxies: ProxyNetworks = Field(
        default=[],
        description="Addresses or networks of the proxies in front of this site, with commas between. From them alone"
        " X-Forwarded-Proto and X-Forwarded-For are believed.",
    )
    https: bool = Field(
        default=False,
        description="The site is reached by https alone, through a proxy that ends TLS and is named in TRUSTED_PROXIES:"
        " cookies are sent over nothing else, and browsers are told so for a year (HSTS).",
    )
    data_dir: Path = Field(
        default=BASE_DIR / "var", description="Folder for everything that is written: database, keys, locks."
    )
    admin_password: SecretStr | None = Field(
        default=None, description="Password of the user admin. Without it one is generated and printed once."
    )
    debug: bool = Field(default=False, description="Django's debug pages. Never beyond loopback.")
    secret_key: SecretStr | None = Field(
        default=None, description="Signs sessions. Without it one is generated and kept in DATA_DIR/keys."
    )
    encryption_keys: CommaList = Field(
        default=[],
        description="Fernet keys for provider credentials, newest first, with commas between. Without them one is"
        " generated and kept in DATA_DIR/keys.",
    )
    database_url: DatabaseUrl = Field(
        default="", description="postgres://user:password@host:5432/name. Without it, SQLite in DATA_DIR."
    )
    database_pool: int = Field(
        default=20, ge=2, le=500, description="PostgreSQL connections that one process keeps at most."
    )
    database_prepares: bool = Field(
        default=True,
        description="Whether PostgreSQL keeps prepared statements. Set it to false behind a PgBouncer that pools"
        " transactions and has no max_prepared_statements.",
    )
    broker_url: BrokerUrl = Field(
        default="", description="Celery's broker: redis://… or amqp://…. Without it, inside the process."
    )
    channel_url: ChannelUrl = Field(
        default="", description="Redis for live progress: redis://…. Without it, inside the process."
    )
    default_model: Annotated[str, Takes("account:model")] = Field(
        default="offline:demo",
        pattern=r"^[^:\s]+:\S+$",
        description="Model of the agents that name none, as account:model.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        description="Makes the account openai: designs name its models as openai:<model>. More accounts, and a team's"
        " own, are made in the admin.",
    )
    openai_base_url: WebUrl = Field(
        default="",
        description="A server that speaks as OpenAI does (Ollama, vLLM, …). It makes the account, even without a key,"
        " and may have a private address.",
    )
    anthropic_api_key: SecretStr | None = Field(default=None, description="Makes the account anthropic.")
    anthropic_base_url: WebUrl = Field(default="", description="Another server for the account anthropic.")
    google_api_key: SecretStr | None = Field(default=None, description="Makes the account google.")
    gemini_api_key: SecretStr | None = Field(default=None, description="The same under its other name.")
    google_base_url: WebUrl = Field(default="", description="Another server for the account google.")
    private_hosts: CommaList = Field(
        default=[],
        description="Host names or addresses in private networks that provider base URLs and webhooks may name, on any"
        " port.",
    )
    max_concurrent_executions: int = Field(
        default=100, ge=1, le=1000, description="Executions that one worker process runs at once."
    )
    worker_max_memory_mb: int | None = Field(
        default=None,
        ge=64,
        description="Memory of a worker process in MB (resident), above which it ends what it runs and starts anew.",
    )
    wait_seconds: int = Field(
        default=60, ge=0, le=300, description="How long a call of an endpoint waits for its result by default."
    )
    execution_deadline_seconds: int = Field(
        default=900, ge=1, le=86_400, description="How long an execution may take, unless its deployment says."
    )
    execution_max_calls: int = Field(
        default=1_000, ge=1, description="Model requests of one execution at most, unless its deployment says."
    )
    execution_max_tokens: int = Field(
        default=2_000_000, ge=1, description="Tokens of one execution at most, unless its deployment says."
    )
    execution_max_cost_usd: Decimal | None = Field(
        default=None, ge=0, description="USD that one execution may cost at most, unless its deployment says."
    )
    execution_max_payload_bytes: int = Field(
        default=33_554_432,
        ge=1_024,
        description="Bytes that one execution may hold (input, prompts, answers, outputs), unless its deployment says.",
    )
    execution_payload_ceiling_bytes: int = Field(
        default=268_435_456, ge=1_024, description="The most of them that a deployment may be given."
    )
    lease_seconds: float = Field(
        default=30, gt=0, description="A worker that has not renewed an execution for that long has lost it."
    )
    heartbeat_seconds: float = Field(
        default=5,
        gt=0,
        description="How often a worker renews its executions; at least twice in LEASE_SECONDS.",
    )
    sweep_seconds: float = Field(
        default=1, gt=0, description="How often a worker looks for executions that are due or lost."
    )
    redispatch_seconds: float = Field(
        default=5, gt=0, description="How long a message about a queued execution may take before it is sent again."
    )
    drain_seconds: float = Field(
        default=20, ge=0, description="How long a worker that is told to stop lets its executions finish."
    )
    alive_file: Path | None = Field(
        default=None,
        description="File that a worker or beat touches every few seconds while it works: what the health check of its"
        " container looks at (`python -m orchestration_site.healthcheck`). Each process needs its own.",
    )
    live_check_seconds: float = Field(
        default=4,
        gt=0,
        le=5,
        description="How often the rights of those who watch live progress are looked at again. Who has lost them is"
        " cut off within twice that.",
    )
    live_stall_seconds: float = Field(
        default=20, gt=0, description="A viewer of live progress that reads nothing for that long is cut off."
    )
    keep_payload_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days that input, result and events of an execution are kept, unless its deployment says. Without"
        " it, and with 0, for ever.",
    )
    keep_payload_last: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Of how many executions of a deployment, the latest, they are kept at most. Without it, and with 0,"
        " of all.",
    )
    keep_history_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days that an execution stays in the history at all, unless its deployment says. Without it, and"
        " with 0, for ever.",
    )
    keep_history_last: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="How many executions of a deployment, the latest, stay in the history at most. Without it, and with"
        " 0, all.",
    )
    daily_use_days: int = Field(
        default=400,
        ge=2,
        description="How many days back it is kept what deployments and API keys have used of their days' limits. The"
        " audit is kept for good.",
    )
    email_url: MailUrl = Field(
        default="",
        description="The mail server for alerts: smtp://user:password@host:587 (plain), smtp+tls://… (STARTTLS) or"
        " smtps://… (TLS from the start, port 465). Without it there are no alerts by e-mail.",
    )
    email_from: Annotated[str, Takes("name@host")] = Field(
        default="orchestration@localhost",
        pattern=r"^[^\s@<>,;]+@[^\s@<>,;]+$",
        description="The sender's address in alerts by e-mail.",
    )
    alert_log_days: int = Field(
        default=30, ge=1, le=3650, description="How long it is kept what was told by alerts, and what came of it."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="How much is written to the log."
    )
    log_format: Literal["line", "json"] = Field(
        default="line", description="How: a line for people, or a JSON object a line for what collects logs."
    )
    metrics_networks: Networks = Field(
        default=[],
        description="Networks or addresses that may read /metrics, with commas between. Without them and METRICS_TOKEN"
        " there is no /metrics, and nothing is counted.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        description="What a reader of /metrics shows as Authorization: Bearer. With METRICS_NETWORKS both are needed.",
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port on which a worker or a beat answers /livez, /readyz and /metrics, on HOST; 0 for none. The"
        " web server answers them on PORT.",
    )
    otel_exporter_otlp_endpoint: Annotated[str, Takes("http://host:4318")] = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="The OpenTelemetry collector that traces are sent to, as http://host:4318. Without it nothing is"
        " traced.",
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        default=None, description="Headers that the collector wants, as name=value, with commas between."
    )
    otel_service_name: str = Field(default="orchestration", description="What this site is called in traces.")
    otel_traces_sampler_arg: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="The share of requests that are traced. What comes with a traceparent is traced as that says.",
    )
    otel_instrumentation_genai_capture_message_content: bool = Field(
        default=False,
        description="Whether traces hold what models are told and what they answer. Whoever reads the traces reads it.",
    )

    @field_validator("metrics_token")
    @classmethod
    def require_long_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_TOKEN_CHARACTERS:
            raise ValueError(
                f"it can be guessed; it needs {MIN_TOKEN_CHARACTERS} characters. Take the output of:"
                " openssl rand -hex 24"
            )
        return value

    @property
    def shows_metrics(self) -> bool:
        """Whether anybody may read /metrics."""
        return bool(self.metrics_networks or self.metrics_token)

    @field_validator("heartbeat_seconds")
    @classmethod
    def require_lease_to_outlast(cls, value: float, info: ValidationInfo) -> float:
        lease = info.data.get("lease_seconds")  # not there when it is wrong itself
        if lease is not None and value * HEARTBEATS_IN_A_LEASE > lease:
            raise ValueError(
                f"it may be half of LEASE_SECONDS at most, which is {lease:g}; workers would lose what they run"
            )
        return value

    @field_validator("execution_payload_ceiling_bytes")
    @classmethod
    def require_room_for_what_is_usual(cls, value: int, info: ValidationInfo) -> int:
        usual = info.data.get("execution_max_payload_bytes")
        if usual is not None and usual > value:
            raise ValueError(
                f"it is less than EXECUTION_MAX_PAYLOAD_BYTES, which is {usual:,}; raise it, or lower that"
            )
        return value

    @field_validator("secret_key")
    @classmethod
    def require_strength(cls, value: SecretStr | None) -> SecretStr | None:
        secret = "" if value is None else value.get_secret_value()
        if value is not None and (len(secret) < MIN_SECRET_CHARACTERS or len(set(secret)) < MIN_SECRET_VARIETY):
            raise ValueError(
                f"it can be guessed; it needs {MIN_SECRET_CHARACTERS} characters, and not always the same. Unset it to"
                " have one made, or take the output of: openssl rand -base64 48"
            )
        return value

    @field_validator("encryption_keys")
    @classmethod
    def require_keys(cls, value: list[str]) -> list[str]:
        for number, key in enumerate(value, start=1):
            try:
                Fernet(key)
            except ValueError:
                raise ValueError(
                    f"key {number} is no Fernet key, which is 32 bytes in URL-safe base64. Take the output of:"
                    " openssl rand -base64 32 | tr '+/' '-_'"
                ) from None
        return value


#: Fields whose value no message shows, and that may stand in files.
SECRET_FIELDS = frozenset(
    name for name, field in Environment.model_fields.items() if field.annotation == SecretStr | None
) | {"encryption_keys", "database_url", "broker_url", "channel_url", "email_url"}


def read_environment() -> Environment:
    """The environment, or the end of the process with one sentence for each value that cannot be used."""
    given = _read_given()
    from_files, problems = read_secret_files(given, SECRET_FIELDS)
    try:
        environment = Environment.model_validate(from_files)
    except ValidationError as error:
        problems += [_sentence(wrong, from_files) for wrong in error.errors()]
    for warning in misspelt_variables(given, Environment.model_fields, SECRET_FIELDS):
        sys.stderr.write(f"{warning}\n")
    if problems:
        _refuse(problems)
    return environment


def _read_given() -> dict[str, str]:
    try:
        return given_variables(Environment, _require_env_file())
    except OSError as error:
        _refuse([f"ENV_FILE={str(ENV_FILE)!r} cannot be used: {error.strerror}."])


def _require_env_file() -> Path:
    """Raises `OSError` when the operator names a file that is not there; `.env` need not be."""
    if os.environ.get("ENV_FILE"):
        ENV_FILE.stat()
    return ENV_FILE


def _refuse(problems: list[str]) -> NoReturn:
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    sys.stderr.write("Nothing was started. docs/configuration.md says what each variable takes.\n")
    raise SystemExit(2)


def _sentence(wrong: ErrorDetails, from_files: Collection[str]) -> str:
    """What is wrong with a value, without the value when it is a secret."""
    name = str(wrong["loc"][0])
    field = Environment.model_fields[name]
    variable = f"{name.upper()}_FILE" if name in from_files else name.upper()
    shown = "" if name in SECRET_FIELDS else f"={wrong['input']!r}"
    if wrong["type"] == "value_error":
        return f"{variable}{shown} cannot be used: {wrong['ctx']['error']}."
    return f"{variable}{shown} cannot be used: it takes {words_of_allowed(field)}."
