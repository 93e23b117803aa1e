"""`manage.py web`: the web server alone, one of the roles of the distributed system."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import get_resolver

from orchestration_site.checks import require_safe_start
from orchestration_site.closing_protocol import CLOSE_SECONDS
from orchestration_site.collector import settle_collector
from orchestration_site.listening import CannotListen, abort_unread, base_url, bind_listener
from orchestration_site.web import build_application
from orchestration_site.web_server import WebServer


class Command(BaseCommand):
    help = "Runs the web server alone, on HOST and PORT."
    requires_system_checks = []  # they import everything there is; `make test` runs them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.ENVIRONMENT.host, help="Instead of HOST.")
        parser.add_argument("--port", default=settings.ENVIRONMENT.port, type=int, help="Instead of PORT.")

    def handle(self, *_args: Any, **options: Any) -> None:
        warnings = require_safe_start(options["host"])
        try:
            listener = bind_listener(options["host"], options["port"], command="make web")
        except CannotListen as reason:
            raise CommandError(str(reason)) from None
        abort_unread(listener, settings.ENVIRONMENT.live_stall_seconds + CLOSE_SECONDS)
        server = WebServer(build_application())
        _ = get_resolver().url_patterns  # imports every view, so that the first request does not have to wait for it
        url = base_url(options["host"], listener)
        server.run(listener, on_ready=lambda: self._begin(f"The web server answers at {url}", warnings))

    def _begin(self, text: str, warnings: Iterable[str]) -> None:
        settle_collector()
        for warning in warnings:
            self.stderr.write(warning)
        self.stdout.write(text)
        self.stdout.flush()
