"""What the operator sets: every variable of the environment with its type, default and meaning.

Read from the process environment and from the file `.env` beside `manage.py`, or the one that ENV_FILE names; the
environment wins. A wrong value stops the start with a sentence for each.
"""

import ipaddress
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from orchestration_site.factories import mail

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_FILE = Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env")

MIN_SECRET_CHARACTERS = 50  # as Django wants them
MIN_SECRET_VARIETY = 8

CommaList = Annotated[list[str], NoDecode]


class Environment(BaseSettings):
    """The variables. A field's name in capitals is the variable's name."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, extra="ignore", env_ignore_empty=True)

    host: str = Field(default="127.0.0.1", description="Address that the web server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the web server listens on.")
    allowed_hosts: CommaList = Field(
        default=[], description="Host names that this site answers to, with commas between; loopback always."
    )
    csrf_trusted_origins: CommaList = Field(
        default=[], description="Origins (https://…) that browsers may post from, when a proxy ends TLS."
    )
    trusted_proxies: CommaList = Field(
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
    database_url: str = Field(
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
    broker_url: str = Field(
        default="", description="Celery's broker: redis://… or amqp://…. Without it, inside the process."
    )
    channel_url: str = Field(
        default="", description="Redis for live progress: redis://…. Without it, inside the process."
    )
    default_model: str = Field(
        default="offline:demo",
        pattern=r"^[^:\s]+:\S+$",
        description="Model of the agents that name none, as account:model.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        description="Makes the account openai: designs name its models as openai:<model>. More accounts, and a team's"
        " own, are made in the admin.",
    )
    openai_base_url: str = Field(
        default="",
        description="A server that speaks as OpenAI does (Ollama, vLLM, …). It makes the account, even without a key,"
        " and may have a private address.",
    )
    anthropic_api_key: SecretStr | None = Field(default=None, description="Makes the account anthropic.")
    anthropic_base_url: str = Field(default="", description="Another server for the account anthropic.")
    google_api_key: SecretStr | None = Field(default=None, description="Makes the account google.")
    gemini_api_key: SecretStr | None = Field(default=None, description="The same under its other name.")
    google_base_url: str = Field(default="", description="Another server for the account google.")
    private_hosts: CommaList = Field(
        default=[],
        description="Host names or addresses in private networks that provider base URLs and webhooks may name.",
    )
    site_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#]+/?)?$",
        description="Where people reach this site, as https://host: links in alerts begin with it. Without it they are"
        " paths.",
    )
    email_url: str = Field(
        default="",
        description="The mail server for alerts: smtp://user:password@host:587 (plain), smtp+tls://… (STARTTLS) or"
        " smtps://… (TLS from the start, port 465). Without it there are no alerts by e-mail.",
    )
    email_from: str = Field(
        default="orchestration@localhost",
        pattern=r"^[^\s@<>,;]+@[^\s@<>,;]+$",
        description="The sender's address in alerts by e-mail.",
    )
    alert_log_days: int = Field(
        default=30, ge=1, le=3650, description="How long it is kept what was told by alerts, and what came of it."
    )
    max_concurrent_executions: int = Field(
        default=100, ge=1, le=1000, description="Executions that one worker process runs at once."
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
    lease_seconds: float = Field(
        default=30, gt=0, description="A worker that has not renewed an execution for that long has lost it."
    )
    heartbeat_seconds: float = Field(default=5, gt=0, description="How often a worker renews its executions.")
    sweep_seconds: float = Field(
        default=1, gt=0, description="How often a worker looks for executions that are due or lost."
    )
    redispatch_seconds: float = Field(
        default=5, gt=0, description="How long a message about a queued execution may take before it is sent again."
    )
    drain_seconds: float = Field(
        default=20, ge=0, description="How long a worker that is told to stop lets its executions finish."
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
    daily_use_days: int = Field(
        default=400,
        ge=2,
        description="How many days back it is kept what deployments and API keys have used of their days' limits. The"
        " audit is kept for good.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="How much is written to the log."
    )

    @field_validator(
        "allowed_hosts", "csrf_trusted_origins", "trusted_proxies", "encryption_keys", "private_hosts", mode="before"
    )
    @classmethod
    def split_commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("email_url")
    @classmethod
    def name_mail_server(cls, value: str) -> str:
        mail(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def name_networks(cls, value: list[str]) -> list[str]:
        networks = [ipaddress.ip_network(part, strict=False) for part in value]
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError("it holds every address, so that any caller could say it came from another one")
        return [str(network) for network in networks]

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


#: Fields whose value no message shows.
SECRET_FIELDS = frozenset(
    name for name, field in Environment.model_fields.items() if field.annotation == SecretStr | None
) | {"encryption_keys", "database_url", "broker_url", "channel_url", "email_url"}


def read_environment() -> Environment:
    """The environment, or the end of the process with one sentence for each value that cannot be used."""
    try:
        return Environment()
    except ValidationError as error:
        for wrong in error.errors():
            name = "_".join(str(part) for part in wrong["loc"][:1])
            shown = "" if name in SECRET_FIELDS else f"={wrong['input']!r}"
            sys.stderr.write(f"{name.upper()}{shown} cannot be used: {wrong['msg']}. See .env.example.\n")
        raise SystemExit(2) from None
