"""The dialog that changes a deployment: its status, schedule, limits, history, version, alerts and keys."""

import json
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder

from access.rights import RIGHTS
from deployments.api.daily_use import daily_use_of
from deployments.api.example_inputs import example_input
from deployments.api.serializers import LimitsSerializer, RetentionSerializer, ScheduleSerializer
from deployments.keys import SCOPES
from deployments.models import AlertTarget, ApiKey, Deployment
from deployments.models.alert import ALERT_EVENTS
from deployments.models.deployment import DeploymentQuerySet
from deployments.pages.limits_in_words import limits_in_words, used_in_words
from deployments.pages.one import DeploymentPage
from designs.differences import differences
from designs.models import DesignVersion
from rest.preconditions import etag

MAX_VERSIONS: Final = 100
MAX_KEYS: Final = 100
TABS: Final = (
    ("schedule", "Status and schedule"),
    ("limits", "Limits"),
    ("retention", "History"),
    ("version", "Version"),
    ("alerts", "Alerts"),
    ("keys", "Keys"),
)
#: What is ticked for a new alert.
CHOSEN_EVENTS: Final = ("execution.failed", "schedule.paused", "budget.exhausted")
#: Of each limit: its name in the API, what it is called, what it does, and the step of its field.
LIMITS: Final = (
    ("max_concurrent", "Executions at once", "Beyond that, calls wait or are refused.", "1"),
    ("deadline_seconds", "Seconds of an execution", "One that takes longer fails.", "1"),
    ("max_calls", "Model calls of an execution", "Before the next one it fails.", "1"),
    ("max_tokens", "Tokens of an execution", "Of all its calls together.", "1"),
    ("max_cost_usd", "Cost of an execution, in USD", "As far as prices are known.", "any"),
    (
        "max_payload_bytes",
        "Bytes of an execution",
        "Of its input, prompts and answers together. One that comes to more fails.",
        "1",
    ),
    (
        "rate_count",
        "Rate: calls",
        "More are refused (429). What a schedule runs does not count.",
        "1",
    ),
    ("rate_seconds", "Rate: in so many seconds", "From the first call on. 60 is a minute, 3600 an hour.", "1"),
    ("daily_max_tokens", "Tokens of a day", "Of all executions together; a day begins at midnight UTC.", "1"),
    ("daily_max_cost_usd", "Cost of a day, in USD", "As above, and as far as prices are known.", "any"),
)
#: The same of how long history is kept.
RETENTION: Final = (
    ("keep_payload_days", "Payloads: days", "Then input, result and events of an execution go."),
    ("keep_payload_last", "Payloads: of the last", "Of so many executions at most, whatever their age."),
    ("keep_history_days", "Executions: days", "Then an execution goes whole."),
    ("keep_history_last", "Executions: the last", "So many at most, whatever their age."),
)
#: The same of a key that is made.
KEY_LIMITS: Final = (
    ("rate_count", "Calls", "In the time beside it; more are refused.", "1"),
    ("rate_seconds", "Within so many seconds", "60 is a minute, 3600 an hour.", "1"),
    ("max_concurrent", "At once", "Those that wait included; more are refused.", "1"),
    ("daily_max_executions", "Executions a day", "A day begins at midnight UTC.", "1"),
    ("daily_max_tokens", "Tokens a day", "Over all that it executes.", "1"),
    ("daily_max_cost_usd", "USD a day", "As far as prices are known.", "any"),
)


class ConfigureDialog(DeploymentPage):
    """Everything that can be changed, as it is. It is changed over the API, on the revision that is shown."""

    template_name = "deployments/configure_dialog.html"
    verbs = RIGHTS["deployment"]["partial_update"]

    def get_queryset(self) -> DeploymentQuerySet:
        return super().get_queryset().select_related("version", "schedule", "design").defer("design__draft")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        deployment = self.deployment
        limits = dict(LimitsSerializer(deployment).data)
        retention = dict(RetentionSerializer(deployment).data)
        schema = deployment.version.document.get("input_schema")
        wanted = self.request.GET.get("tab", "")
        return super().get_context_data(
            tab=wanted if wanted in dict(TABS) else TABS[0][0],
            tabs=TABS,
            etag=etag(deployment.revision),
            base=_json(
                {
                    "status": deployment.status,
                    "schedule": _schedule(deployment),
                    "limits": limits,
                    "retention": retention,
                }
            ),
            schedule=getattr(deployment, "schedule", None),
            schedule_json=_json(_schedule(deployment)),
            schema=_json(schema or {}),
            example=_json(example_input(schema)),
            limits=[(*row, limits[row[0]]) for row in LIMITS],
            retention=[(*row, retention[row[0]]) for row in RETENTION],
            used_today=used_in_words(daily_use_of(deployment)),
            when_full=limits["when_full"],
            versions=list(
                DesignVersion.objects.filter(design_id=deployment.design_id).defer("document")[:MAX_VERSIONS]
            ),
            alerts=list(AlertTarget.objects.present().sealed().filter(deployment=deployment)),
            alert_events=ALERT_EVENTS,
            chosen_events=CHOSEN_EVENTS,
            sends_email=bool(settings.ENVIRONMENT.email_url),
            keys=[(key, limits_in_words(key)) for key in self._keys()],
            now=timezone.now(),
            scopes=SCOPES,
            key_limits=KEY_LIMITS,
            **kwargs,
        )

    def _keys(self) -> list[ApiKey]:
        """Those that open this endpoint. Who may not manage keys sees none."""
        opening = Q(all_deployments=True) | Q(deployments=self.deployment)
        keys = ApiKey.objects.visible_to(self.principal, *RIGHTS["key"]["list"]).filter(
            opening, team_id=self.deployment.team_id
        )
        return list(keys.filter(revoked_at__isnull=True)[:MAX_KEYS])


class VersionDifferences(DeploymentPage):
    """What another version, or what is saved now, differs in from what is deployed: `?with=3`, `?with=latest`."""

    template_name = "deployments/_differences.html"
    verbs = RIGHTS["deployment"]["compare_versions"]

    def get_queryset(self) -> DeploymentQuerySet:
        return super().get_queryset().select_related("version", "design")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        wanted = self.request.GET.get("with", "latest")
        other = self.deployment.design.draft if wanted == "latest" else self._version(wanted).document
        return super().get_context_data(
            wanted=wanted,
            found=differences(self.deployment.version.document, other),
            is_deployed=wanted == str(self.deployment.version.number),
            **kwargs,
        )

    def _version(self, wanted: str) -> DesignVersion:
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 9):
            raise Http404
        versions = DesignVersion.objects.filter(design_id=self.deployment.design_id)
        found: DesignVersion = get_object_or_404(versions, number=int(wanted))
        return found


def _schedule(deployment: Deployment) -> Any:
    schedule = getattr(deployment, "schedule", None)
    return None if schedule is None else ScheduleSerializer(schedule).data


def _json(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder, ensure_ascii=False)
