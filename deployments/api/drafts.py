"""Running a design that is not deployed."""

from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.generics import get_object_or_404
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from access.permissions import caller_of
from access.rights import RIGHTS
from deployments.api.calling import call_draft
from deployments.api.rate_limit_headers import documented
from deployments.api.refusals import refusals_as_problems
from deployments.api.schemas import CALL_ANSWERS, CALL_PARAMETERS, REFUSAL_HEADERS
from deployments.api.serializers import DraftExecuteRequest
from designs.models import DesignVersion, OrchestrationDesign
from designs.trials import NoSuchBlock, freeze_block
from designs.versions import freeze_version
from rest.async_view import AwaitMixin
from rest.negotiation import EventStreamRenderer
from rest.problems import FieldError, invalid


class DraftExecutionView(AwaitMixin, APIView):
    """Runs what is saved of a design now: a version is made of it, and no deployment."""

    required_verbs = {"POST": RIGHTS["design"]["execute"]}
    renderer_classes = [JSONRenderer, EventStreamRenderer, BrowsableAPIRenderer]

    @extend_schema(
        operation_id="designs_execute",
        summary="Run what is saved of a design, or one block of it, without deploying it",
        tags=["designs"],
        parameters=[CALL_PARAMETERS[0], *REFUSAL_HEADERS, *documented([200, 202])],
        request=DraftExecuteRequest,
        responses=CALL_ANSWERS,
    )
    def post(self, request: Request, design_id: UUID) -> HttpResponseBase:
        design = self._find_design()
        body = DraftExecuteRequest(data=request.data)
        body.is_valid(raise_exception=True)
        with refusals_as_problems():
            version = self._freeze(design, body.validated_data.get("block_id"))
        return call_draft(request, version, design.team_id, body.validated_data["input_data"])

    def _freeze(self, design: OrchestrationDesign, block_id: str | None) -> DesignVersion:
        by = caller_of(self.request).label
        if block_id is None:
            return freeze_version(design=design, created_by=by)
        try:
            return freeze_block(design=design, block_id=block_id, created_by=by)
        except NoSuchBlock as refused:
            raise invalid([FieldError("/block_id", "unknown_block", str(refused))]) from None

    def require_visible(self) -> None:
        """404 comes before 403: see HasVerb."""
        self._find_design()

    def _find_design(self) -> OrchestrationDesign:
        known = OrchestrationDesign.objects.known_to(caller_of(self.request))
        design: OrchestrationDesign = get_object_or_404(known, id=self.kwargs["design_id"])
        self.check_object_permissions(self.request, design)
        return design
