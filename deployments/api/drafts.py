"""Running a design that is not deployed."""

from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.generics import get_object_or_404
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from access.permissions import caller_of
from deployments.api.calling import call_draft
from deployments.api.refusals import refusals_as_problems
from deployments.api.schemas import CALL_ANSWERS, CALL_PARAMETERS
from deployments.api.serializers import ExecuteRequest
from designs.models import OrchestrationDesign
from designs.versions import freeze_version
from rest.async_view import AwaitMixin
from rest.negotiation import EventStreamRenderer


class DraftExecutionView(AwaitMixin, APIView):
    """Runs what is saved of a design now: a version is made of it, and no deployment."""

    required_verbs = {"POST": ("execute",)}
    renderer_classes = [JSONRenderer, EventStreamRenderer, BrowsableAPIRenderer]

    @extend_schema(
        operation_id="designs_execute",
        summary="Run what is saved of a design, without deploying it",
        tags=["designs"],
        parameters=[CALL_PARAMETERS[0]],
        request=ExecuteRequest,
        responses=CALL_ANSWERS,
    )
    def post(self, request: Request, design_id: UUID) -> HttpResponseBase:
        design = self._find_design()
        body = ExecuteRequest(data=request.data)
        body.is_valid(raise_exception=True)
        with refusals_as_problems():
            version = freeze_version(design=design, created_by=caller_of(request).label)
        return call_draft(request, version, design.team_id, body.validated_data["input_data"])

    def require_visible(self) -> None:
        """404 comes before 403: see HasVerb."""
        self._find_design()

    def _find_design(self) -> OrchestrationDesign:
        visible = OrchestrationDesign.objects.visible_to(caller_of(self.request))
        design: OrchestrationDesign = get_object_or_404(visible, id=self.kwargs["design_id"])
        return design
