"""Metrics and traces are off until the operator turns them on, and then are what the settings name."""

from typing import Any

import pytest
from django.utils.module_loading import import_string
from pydantic import ValidationError

from deployments.telemetry import Observer
from orchestration_site import factories
from orchestration_site.environment import Environment

TOKEN = "t" * 20


def environment(**values: Any) -> Environment:
    return Environment(**values)


def test_by_default_nobody_is_told_of_anything() -> None:
    default = environment()
    assert (default.shows_metrics, default.otel_exporter_otlp_endpoint, default.metrics_port) == (False, "", 0)
    assert factories.observers(metrics=False, traces=False) == ()
    assert factories.services_of_processes(0) == ()
    assert not default.otel_instrumentation_genai_capture_message_content


@pytest.mark.parametrize("values", [{"metrics_networks": "10.0.0.0/8, ::1"}, {"metrics_token": TOKEN}])
def test_a_network_or_a_token_turns_metrics_on(values: dict[str, str]) -> None:
    assert environment(**values).shows_metrics


def test_networks_are_read_as_people_write_them() -> None:
    assert environment(metrics_networks="10.1.2.3/8, ::1").metrics_networks == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    "values",
    [
        {"metrics_token": TOKEN[1:]},
        {"metrics_networks": "everybody"},
        {"otel_exporter_otlp_endpoint": "collector:4318"},
        {"otel_traces_sampler_arg": 1.5},
        {"metrics_port": 70_000},
        {"log_format": "xml"},
    ],
)
def test_a_value_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        environment(**values)


def test_what_the_factories_name_is_there() -> None:
    named = factories.observers(metrics=True, traces=True)
    assert len(named) == 2
    assert isinstance(import_string(named[0])(), Observer)
    assert callable(import_string(named[1]))  # made only where there is a collector
    for is_on in (True, False):
        assert callable(import_string(factories.metrics_endpoint(metrics=is_on)))
    assert factories.services_of_processes(9_100) == ("orchestration_site.telemetry.process_server",)
