"""The addresses under `/api/` that deployments answer."""

from django.urls import path, re_path

from deployments.api.alerts import AlertViewSet
from deployments.api.audit import AuditViewSet
from deployments.api.deployed import DeployedEndpointView, EndpointOpenApiView
from deployments.api.deployments import DeploymentViewSet
from deployments.api.drafts import DraftExecutionView
from deployments.api.endpoint_paths import EndpointPathView
from deployments.api.executions import ExecutionViewSet
from deployments.api.keys import KeyViewSet
from deployments.api.schedules import SchedulePreviewView, ScheduleViewSet
from rest.routers import UUID_PATTERN, BothSlashesRouter

#: Joined with the other apps' in `orchestration_site.urls`, so that one root lists them all.
router = BothSlashesRouter()
router.register("deployments", DeploymentViewSet, basename="deployment")
router.register("executions", ExecutionViewSet, basename="execution")
router.register("keys", KeyViewSet, basename="key")
router.register("audit", AuditViewSet, basename="audit")

#: A schedule stands below its deployment: the method and the action of each address.
SCHEDULE_ACTIONS = {"preview": "get", "pause": "post", "resume": "post", "run": "post"}

#: So do alerts: below `alerts` the rest of each address, with what its methods do.
_ALERT = rf"/(?P<alert_id>{UUID_PATTERN})"
_DELIVERY = rf"{_ALERT}/deliveries/(?P<delivery_id>{UUID_PATTERN})"
ALERT_ACTIONS = {
    "list": ("", {"get": "list", "post": "create"}),
    "detail": (_ALERT, {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    "rotate-secret": (f"{_ALERT}/rotate-secret", {"post": "rotate_secret"}),
    "test": (f"{_ALERT}/test", {"post": "test"}),
    "deliveries": (f"{_ALERT}/deliveries", {"get": "deliveries"}),
    "delivery": (_DELIVERY, {"get": "delivery"}),
    "resend": (f"{_DELIVERY}/resend", {"post": "resend"}),
}

urlpatterns = [
    *(
        re_path(
            rf"^deployments/(?P<pk>{UUID_PATTERN})/alerts{rest}/?$",
            AlertViewSet.as_view(actions),
            name=f"deployment-alert-{name}",
        )
        for name, (rest, actions) in ALERT_ACTIONS.items()
    ),
    *(
        re_path(
            rf"^deployments/(?P<pk>{UUID_PATTERN})/schedule/{action}/?$",
            ScheduleViewSet.as_view({method: action}),
            name=f"deployment-schedule-{action}",
        )
        for action, method in SCHEDULE_ACTIONS.items()
    ),
    re_path(r"^schedules/preview/?$", SchedulePreviewView.as_view(), name="schedule-preview"),
    re_path(r"^endpoint-paths/?$", EndpointPathView.as_view(), name="endpoint-path"),
    re_path(rf"^designs/(?P<design_id>{UUID_PATTERN})/execute/?$", DraftExecutionView.as_view(), name="design-execute"),
    re_path(r"^deployed/(?P<endpoint_path>.+)/openapi\.json$", EndpointOpenApiView.as_view(), name="endpoint-openapi"),
    path("deployed/<path:endpoint_path>", DeployedEndpointView.as_view(), name="endpoint"),
]
