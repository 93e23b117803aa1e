"""Writes `.env.example` from the typed environment: `python -m orchestration_site.tests.env_example`."""

import textwrap
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from orchestration_site.environment import BASE_DIR, Environment

PATH = BASE_DIR / ".env.example"

HEAD = """\
# Copy to .env and take the mark off what you set. A variable of the process's environment wins over the file.
# Written by `make env-example`; every line shows the default."""


def example_text() -> str:
    """What `.env.example` has to be."""
    fields = [_lines_of(name, field) for name, field in Environment.model_fields.items()]
    return "\n\n".join([HEAD, *("\n".join(lines) for lines in fields)]) + "\n"


def _lines_of(name: str, field: FieldInfo) -> Iterator[str]:
    yield from (f"# {line}" for line in textwrap.wrap(field.description or "", 116))
    yield f"# {name.upper()}={_shown(field.get_default(call_default_factory=True))}"


def _shown(default: object) -> str:
    if default is None or default == []:
        return ""
    return (
        "./var" if default == BASE_DIR / "var" else str(default).lower() if isinstance(default, bool) else str(default)
    )


if __name__ == "__main__":
    PATH.write_text(example_text())
