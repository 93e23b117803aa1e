"""The endpoints of deployed designs: call one, or ask what it is."""

from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.permissions import caller_of
from access.rights import RIGHTS
from deployments.api.calling import call_endpoint, require_object
from deployments.api.describing import describe_endpoint, endpoint_openapi
from deployments.api.schemas import (
    CALL_ANSWERS,
    CALL_PARAMETERS,
    DescriptionSerializer,
)
from deployments.endpoint_path import may_be_endpoint_path
from deployments.input_schemas import pinned_version
from deployments.models import Deployment
from deployments.models.deployment import ENDPOINT_PREFIX
from deployments.prepared_statements import PreparedRead
from rest.async_view import AwaitMixin
from rest.negotiation import EventStreamRenderer

_BY_ENDPOINT = PreparedRead(Deployment, lambda slot: Deployment.objects.by_endpoint(slot("endpoint_path")))
_PATH = OpenApiParameter("endpoint_path", str, OpenApiParameter.PATH, description="Without `/api/deployed/`.")


class _EndpointView(APIView):
    """Finds the deployment by its path among those that the caller may see."""

    def find_deployment(self) -> Deployment:
        path = self.kwargs["endpoint_path"].removesuffix("/")
        # What no path can be is not looked up: PostgreSQL would not even take a NUL.
        deployment = _BY_ENDPOINT.first(endpoint_path=ENDPOINT_PREFIX + path) if may_be_endpoint_path(path) else None
        if deployment is None or not deployment.is_known_to(caller_of(self.request)):
            raise Http404
        self.check_object_permissions(self.request, deployment)
        return deployment

    def require_visible(self) -> None:
        """404 comes before 403: see HasVerb."""
        self.find_deployment()


class DeployedEndpointView(AwaitMixin, _EndpointView):
    """One endpoint. GET says what it is, POST calls it."""

    required_verbs = {"GET": RIGHTS["deployment"]["describe"], "POST": RIGHTS["deployment"]["call"]}
    renderer_classes = [JSONRenderer, EventStreamRenderer, BrowsableAPIRenderer]
    blank_body_is_object = True

    @extend_schema(
        operation_id="describe_endpoint",
        parameters=[_PATH],
        responses={(200, "application/json"): DescriptionSerializer},
    )
    def get(self, request: Request, endpoint_path: str) -> Response:
        """What this endpoint is: its input schema, an example, and how to call it."""
        return Response(describe_endpoint(self.find_deployment(), request))

    @extend_schema(
        operation_id="call_endpoint",
        parameters=[_PATH, *CALL_PARAMETERS],
        request={"application/json": OpenApiTypes.OBJECT},
        examples=[OpenApiExample("Input", {"text": "The parcel came late."}, request_only=True)],
        responses=CALL_ANSWERS,
    )
    def post(self, request: Request, endpoint_path: str) -> HttpResponseBase:
        """Execute the design with the body as its input, and wait for the result."""
        deployment = self.find_deployment()
        deployment.version = pinned_version(deployment.version_id)
        return call_endpoint(request, deployment, require_object(request.data))


class EndpointOpenApiView(_EndpointView):
    """The OpenAPI document of one endpoint."""

    required_verbs = {"GET": RIGHTS["deployment"]["describe"]}
    renderer_classes = [JSONRenderer]

    @extend_schema(
        operation_id="endpoint_openapi",
        parameters=[_PATH],
        responses={200: OpenApiResponse(OpenApiTypes.OBJECT, description="OpenAPI 3.1.")},
    )
    def get(self, request: Request, endpoint_path: str) -> Response:
        """OpenAPI 3.1 of this one endpoint, typed by its own input schema."""
        document: dict[str, Any] = endpoint_openapi(self.find_deployment(), request)
        return Response(document)
