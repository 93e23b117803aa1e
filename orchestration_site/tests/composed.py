"""What compose.yaml describes, for the test that reads it and for the trial that starts it."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from orchestration_site.environment import BASE_DIR

DOCKERFILE = BASE_DIR / "Dockerfile"
COMPOSE = BASE_DIR / "compose.yaml"
SECRETS = "/run/secrets"


def roles() -> dict[str, str]:
    """The command of each role of the image, as the head of the Dockerfile names them."""
    head = DOCKERFILE.read_text().partition("\nFROM ")[0]
    return dict(re.findall(r"^# {3}(\w+) +(\S.*)$", head, re.MULTILINE))


def read_compose() -> dict[str, Any]:
    description: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return description


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_compose()["services"]
    return found


def our_services() -> dict[str, dict[str, Any]]:
    """Those that run our image."""
    return {name: service for name, service in services().items() if name in roles()}


def seconds_of(duration: str) -> float:
    """`1m30s` in seconds."""
    units = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+)([hms])", duration)
    assert "".join(number + unit for number, unit in parts) == duration, duration
    return sum(int(number) * units[unit] for number, unit in parts)


def words_of(service: Mapping[str, Any]) -> list[str]:
    return shlex.split(service["command"])


def replicas_of(service: Mapping[str, Any]) -> int:
    return int(service["deploy"].get("replicas", 1))


def folders_in_memory(service: Mapping[str, Any]) -> dict[str, str]:
    """The folders that may be written, each with the options of its mount."""
    return dict(_split(entry) for entry in service["tmpfs"])


def _split(entry: str) -> tuple[str, str]:
    path, _, options = entry.partition(":")
    return path, options


def files_of_secrets(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each variable that names a file of a secret, and the secret's name."""
    for variable, value in environment.items():
        if variable.endswith("_FILE") and value.startswith(f"{SECRETS}/"):
            yield variable, value.removeprefix(f"{SECRETS}/")
