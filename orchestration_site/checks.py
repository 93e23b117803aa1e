"""What may not be started, or should not be: numbered checks of the operator's settings.

Those of the start are made before the site listens, and an error among them stops it; `manage.py check --deploy` makes
all. Each says what to set. A single value that cannot be used is refused where it is read, in `environment.py`.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.management.base import SystemCheckError
from django.utils.module_loading import import_string

from orchestration_site.environment import Environment

#: What Django's checks W001 to W003 look for by name; here their subclasses stand, which those do not know.
NEEDED_MIDDLEWARE: Final = (
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def startup_messages(host: str) -> list[CheckMessage]:
    """What is said before a server listens there; an error among these keeps it from starting."""
    environment: Environment = settings.ENVIRONMENT
    return [*_of_proxies(environment), *([] if is_loopback(host) else _of_exposure(environment))]


def require_safe_start(host: str) -> list[str]:
    """The warnings to be shown. Raises `SystemCheckError`, with what to set, where the site may not be started so."""
    messages = startup_messages(host)
    if errors := [message for message in messages if message.is_serious()]:
        raise SystemCheckError("\n".join(str(error) for error in errors))
    return [str(message) for message in messages]


@register(Tags.security)
def check_start(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """The same in `manage.py check`, for HOST."""
    return startup_messages(settings.ENVIRONMENT.host)


@register(Tags.security, deploy=True)
def check_generated_secrets(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """What each data folder makes for itself, processes on several machines would not share."""
    environment: Environment = settings.ENVIRONMENT
    if not environment.database_url or (environment.secret_key and environment.encryption_keys):
        return []
    sentence = "SECRET_KEY or ENCRYPTION_KEYS is made in DATA_DIR: a process on another machine has others."
    return [_warning(2, sentence, "Set both to the same values wherever this database is used.")]


@register(Tags.security, deploy=True)
def check_middleware(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """What Django's own checks cannot see: our subclasses of its middleware."""
    present: Sequence[type] = [import_string(name) for name in settings.MIDDLEWARE]
    missing = [name for name in NEEDED_MIDDLEWARE if not any(issubclass(each, import_string(name)) for each in present)]
    return [_error(4, f"MIDDLEWARE has no {name}.", "Put it, or a subclass of it, back.") for name in missing]


def _of_exposure(environment: Environment) -> Iterator[CheckMessage]:
    """What is fine on one's own machine and not beyond."""
    if environment.debug:
        sentence = "DEBUG shows settings and code to whoever meets an error."
        yield _error(1, sentence, "Unset DEBUG, or listen on 127.0.0.1.")
    if "*" in environment.allowed_hosts:
        sentence = "ALLOWED_HOSTS=* lets a caller choose the host name that links are made with."
        yield _error(2, sentence, "Name this site's host names.")
    if not environment.https:
        sentence = "HTTPS is off: passwords and API keys can be read on their way to this site."
        yield _warning(
            1, sentence, "Put a proxy that ends TLS in front, name it in TRUSTED_PROXIES, and set HTTPS=true."
        )


def _of_proxies(environment: Environment) -> Iterator[CheckMessage]:
    if environment.https and not environment.trusted_proxies:
        sentence = "HTTPS is on and no proxy is trusted: every request would be sent on to https for ever."
        yield _error(3, sentence, "Name the proxy that ends TLS in TRUSTED_PROXIES, or unset HTTPS.")


def _error(number: int, sentence: str, hint: str) -> CheckMessage:
    return checks.Error(sentence, hint=hint, id=f"orchestration.E{number:03}")


def _warning(number: int, sentence: str, hint: str) -> CheckMessage:
    return checks.Warning(sentence, hint=hint, id=f"orchestration.W{number:03}")
