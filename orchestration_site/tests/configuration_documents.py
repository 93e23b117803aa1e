"""Writes `.env.example` and `docs/configuration.md` from the typed environment.

`python -m orchestration_site.tests.configuration_documents`, or `make env-example`.
"""

import textwrap
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from orchestration_site.allowed_values import words_of_allowed
from orchestration_site.environment import BASE_DIR, SECRET_FIELDS, Environment

EXAMPLE = BASE_DIR / ".env.example"
DOCUMENT = BASE_DIR / "docs" / "configuration.md"

#: Headings, each before the variable that it begins with.
SECTIONS = {
    "host": "The web server, and who reaches it",
    "data_dir": "Data and secrets",
    "database_url": "Database, broker and channel layer",
    "default_model": "Models",
    "max_concurrent_executions": "Executions",
    "lease_seconds": "Workers",
    "live_check_seconds": "Live progress",
    "keep_payload_days": "What is kept",
    "email_url": "Alerts",
    "log_level": "Log",
    "metrics_networks": "Metrics",
    "otel_exporter_otlp_endpoint": "Traces",
}

EXAMPLE_HEAD = """\
# Copy to .env and take the mark off what you set. A variable of the process's environment wins over the file.
# What is marked as a secret may stand in a file instead: NAME_FILE=/path/to/it.
# Written by `make env-example`; every line shows the default."""

DOCUMENT_HEAD = """\
# Configuration

Everything that an operator sets is a variable of the environment. Written by `make env-example` from
`orchestration_site/environment.py`; a test compares them.

- A variable of the process wins over the same one in the file `.env` beside `manage.py`. `ENV_FILE` names another file.
- An empty variable counts as not set.
- A **secret** may stand in a file: `SECRET_KEY_FILE=/run/secrets/secret_key` sets `SECRET_KEY` to what the file holds,
  without the line break at its end. Setting both is refused. The file is read when the process starts, and not again.
- A value that cannot be used stops the start with exit status 2. Each wrong one gets a sentence that says what its
  variable takes, all at once; the value of a secret is not shown.
- A variable that nothing reads and that looks like one of these gets a warning with the name that may be meant.
- `manage.py check --deploy` says what is unsafe or missing for a site that others reach."""


def example_text() -> str:
    """What `.env.example` has to be."""
    parts = [EXAMPLE_HEAD]
    for name, field in Environment.model_fields.items():
        if name in SECTIONS:
            parts.append(f"# ── {SECTIONS[name]}")
        parts.append("\n".join(_lines_of(name, field)))
    return "\n\n".join(parts) + "\n"


def document_text() -> str:
    """What `docs/configuration.md` has to be."""
    parts = [DOCUMENT_HEAD]
    for name, field in Environment.model_fields.items():
        if name in SECTIONS:
            parts.append(f"\n## {SECTIONS[name]}\n\n| variable | takes | default | meaning |\n|---|---|---|---|")
        parts.append(_row_of(name, field))
    return "\n".join(parts) + "\n"


def _lines_of(name: str, field: FieldInfo) -> Iterator[str]:
    meaning = f"{field.description}{' A secret.' if name in SECRET_FIELDS else ''}"
    yield from (f"# {line}" for line in textwrap.wrap(meaning, 116))
    yield f"# {name.upper()}={_shown(field.get_default(call_default_factory=True))}"


def _row_of(name: str, field: FieldInfo) -> str:
    default = _shown(field.get_default(call_default_factory=True))
    meaning = (field.description or "").replace("|", "\\|").replace("<", "&lt;")
    if name in SECRET_FIELDS:
        meaning += f" A secret: or `{name.upper()}_FILE`."
    return f"| `{name.upper()}` | {words_of_allowed(field)} | {f'`{default}`' if default else ''} | {meaning} |"


def _shown(default: object) -> str:
    if default is None or default == []:
        return ""
    return (
        "./var" if default == BASE_DIR / "var" else str(default).lower() if isinstance(default, bool) else str(default)
    )


if __name__ == "__main__":
    EXAMPLE.write_text(example_text())
    DOCUMENT.write_text(document_text())
