"""`manage.py serve`: the whole system in one process."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import get_resolver

from deployments.executions.lifecycle import end_leases_of
from deployments.executions.retirement import retirement
from deployments.executions.worker import current_worker
from orchestration_site.background_services import BackgroundServices
from orchestration_site.celery import app
from orchestration_site.checks import require_safe_start
from orchestration_site.closing_protocol import CLOSE_SECONDS
from orchestration_site.collector import settle_collector
from orchestration_site.data_folder import DataFolderInUse, hold_data_folder
from orchestration_site.embedded_server import EmbeddedServer
from orchestration_site.first_visit import (
    FirstVisit,
    apply_migrations,
    make_first_visit,
)
from orchestration_site.listening import CannotListen, abort_unread, base_url, bind_listener
from orchestration_site.web import build_application
from orchestration_site.welcome import welcome_lines


class Command(BaseCommand):
    help = "Runs web server, worker and beat in one process, on HOST and PORT."
    requires_system_checks = []  # they import everything there is; `make test` runs them

    def handle(self, *_args: Any, **_options: Any) -> None:
        warnings = require_safe_start(settings.ENVIRONMENT.host)
        try:
            with hold_data_folder(settings.DATA_DIR):
                everything_ended = self._serve(warnings)
        except KeyboardInterrupt:  # Ctrl-C before the server listens
            return
        except (DataFolderInUse, CannotListen) as reason:
            raise CommandError(str(reason)) from None
        if not everything_ended:
            # The interpreter would wait for the threads of the executions that were left behind.
            retirement.follow()
            sys.stdout.flush()
            os._exit(0)

    def _serve(self, warnings: Iterable[str]) -> bool:
        environment = settings.ENVIRONMENT
        listener = bind_listener(environment.host, environment.port)
        abort_unread(listener, environment.live_stall_seconds + CLOSE_SECONDS)
        first_visit = _prepare()
        server = EmbeddedServer(build_application(), BackgroundServices(app, drain_seconds=environment.drain_seconds))
        _ = get_resolver().url_patterns  # imports every view, so that the first request does not have to wait for it
        welcome = "\n".join(
            welcome_lines(base_url(environment.host, listener), first_visit, data_dir=settings.DATA_DIR)
        )
        return server.run(listener, on_ready=lambda: self._begin(welcome, warnings))

    def _begin(self, text: str, warnings: Iterable[str]) -> None:
        settle_collector()
        for warning in warnings:
            self.stderr.write(warning)
        self.stdout.write(text)
        self.stdout.flush()


def _prepare() -> FirstVisit | None:
    apply_migrations()
    _succeed_last_worker(settings.DATA_DIR / "last_worker")
    password = settings.ENVIRONMENT.admin_password
    return make_first_visit(password.get_secret_value() if password else None)


def _succeed_last_worker(note: Path) -> None:
    """Take up at once what the folder's last process ran: with the folder held, that process is gone."""
    if note.exists():
        end_leases_of(note.read_text().strip())
    note.write_text(current_worker().owner + "\n")
