"""Whether a path may become an endpoint, while somebody types it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.rights import RIGHTS
from deployments.deploying import EndpointTaken
from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.models import Deployment
from rest.async_view import AwaitMixin
from rest.filters import refuse_unknown_parameters


class EndpointPathSerializer(serializers.Serializer[Any]):
    """What became of a path."""

    state = serializers.ChoiceField(choices=["free", "taken", "invalid"])
    endpoint_path = serializers.CharField(help_text="In its canonical form; where the path is invalid, a proposal.")
    url = serializers.CharField(help_text="Where it is called, or would be.")
    message = serializers.CharField(allow_null=True, help_text="Why it cannot be used, for people; null when free.")


class EndpointPathView(AwaitMixin, APIView):
    """For a form that is being filled in. Only the deployment itself takes the path, and says when it came too late."""

    required_verbs = {"GET": RIGHTS["site"]["check_endpoint_path"]}

    @extend_schema(
        operation_id="check_endpoint_path",
        summary="Whether a path is free, and its canonical form",
        tags=["deployments"],
        parameters=[OpenApiParameter("path", str, required=True, description="In any spelling.")],
        responses=EndpointPathSerializer,
    )
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request, {"path", "format"})
        state, path, message = _examine(request.query_params.get("path", ""))
        answer = {"state": state, "endpoint_path": path, "url": request.build_absolute_uri(path), "message": message}
        return Response(EndpointPathSerializer(answer).data)


def _examine(text: str) -> tuple[str, str, str | None]:
    try:
        path = canonical_endpoint_path(text)
    except InvalidEndpointPath as refused:
        return "invalid", refused.proposal, str(refused)
    # Of every team: endpoints are the site's.
    if Deployment.objects.by_endpoint(path).exists():
        return "taken", path, str(EndpointTaken(path))
    return "free", path, None
