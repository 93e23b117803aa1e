"""Where known weaknesses of the locked packages are asked for, and whether anybody answers there.

Who audits where no advisories can be had finds none: pip-audit then skips every package, says that no vulnerabilities
are known, and succeeds. So a service is asked first for an advisory that has long been known, and its lane is not run
where that does not come.
"""

import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestration_site.proving.servers import ServerMissing

SECONDS = 5.0


@dataclass(frozen=True)
class Service:
    """One service. `question` is posted, or else it is a GET; the advisory stands in the answer under `member`."""

    name: str
    url: str
    member: str
    question: Mapping[str, Any] | None = None

    def find_problem(self) -> str | None:
        """Why it cannot be asked; None where it knows what it has to."""
        data = None if self.question is None else json.dumps(self.question).encode()
        request = urllib.request.Request(self.url, data, {"Content-Type": "application/json"})  # noqa: S310 - our own URLs
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                known = json.load(answer)
        except (OSError, ValueError) as error:
            return f"{self.name}: {error}"
        if not isinstance(known, dict) or not known.get(self.member):
            return f"{self.name}: its answer holds no advisories"
        return None


#: By the names that pip-audit knows them by.
PYTHON_SERVICES = {
    "pypi": Service("pypi.org", "https://pypi.org/pypi/requests/2.19.0/json", "vulnerabilities"),
    "osv": Service(
        "api.osv.dev",
        "https://api.osv.dev/v1/query",
        "vulns",
        {"package": {"name": "requests", "ecosystem": "PyPI"}, "version": "2.19.0"},
    ),
}
#: As npm reads it: its variables are in small letters.
REGISTRY = os.environ.get("npm_config_registry", "https://registry.npmjs.org").rstrip("/")  # noqa: SIM112
NPM_SERVICE = Service(REGISTRY, f"{REGISTRY}/-/npm/v1/security/advisories/bulk", "lodash", {"lodash": ["4.17.4"]})


@contextmanager
def advisories_of_python(services: Mapping[str, Service] = PYTHON_SERVICES) -> Iterator[Mapping[str, str]]:
    """The first service that can be asked, as pip-audit is told of it. Raises `ServerMissing`."""
    problems: list[str] = []
    for name, service in services.items():
        if (problem := service.find_problem()) is None:
            yield {"PIP_AUDIT_VULNERABILITY_SERVICE": name}
            return
        problems.append(problem)
    raise ServerMissing(f"nobody can be asked for advisories from here ({'; '.join(problems)})")


@contextmanager
def advisories_of_npm(service: Service = NPM_SERVICE) -> Iterator[Mapping[str, str]]:
    """Raises `ServerMissing` where the registry cannot be asked."""
    if (problem := service.find_problem()) is not None:
        raise ServerMissing(f"nobody can be asked for advisories from here ({problem})")
    yield {}
