"""Designs over REST: the body is the design document itself, the answer is the document and what is known of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from access.permissions import caller_of, rows_of
from access.rights import RIGHTS
from designs.api.schemas import CHANGES_REQUEST, DOCUMENT_REQUEST, IF_MATCH
from designs.api.serializers import (
    DesignProblemsSerializer,
    DesignSerializer,
    DesignSummarySerializer,
    ProblemSerializer,
    VersionSerializer,
    VersionSummarySerializer,
)
from designs.api.teams import TEAM_PARAMETER, team_for
from designs.drafts import (
    DesignDeployed,
    create_design,
    delete_design,
    export_design,
    parse_merged,
    problems_with,
    save_draft,
)
from designs.models import DesignVersion, OrchestrationDesign
from executor.document import parse_design
from executor.errors import MalformedDesign
from rest.filters import refuse_unknown_parameters
from rest.parsers import refuse_blank_body
from rest.preconditions import check_if_match, etag
from rest.problems import ApiProblem, FieldError, invalid
from rest.resources import ResourceViewSet
from rest.routers import UUID_PATTERN


class DesignFilters(django_filters.FilterSet):  # type: ignore[misc] # the library has no types
    """What the list can be narrowed by."""

    search = django_filters.CharFilter(method="filter_by_text", help_text="Text in the name or the description.")

    class Meta:
        model = OrchestrationDesign
        fields: list[str] = []

    def filter_by_text(self, designs: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        return designs.filter(Q(name__icontains=text) | Q(description__icontains=text))


@extend_schema_view(
    list=extend_schema(summary="All designs, newest first, documents left out"),
    retrieve=extend_schema(summary="One design with its draft"),
)
class DesignViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ResourceViewSet[OrchestrationDesign]):
    """Designs. A draft is saved whether it is sound or not; `problems` says why it cannot be deployed yet."""

    queryset = OrchestrationDesign.objects.none()
    serializer_class = DesignSerializer
    filterset_class = DesignFilters
    lookup_value_regex = UUID_PATTERN
    required_verbs = RIGHTS["design"]

    def get_queryset(self) -> QuerySet[OrchestrationDesign]:
        designs: QuerySet[OrchestrationDesign] = rows_of(self, OrchestrationDesign.objects.with_latest_version())
        designs = designs.select_related("team")
        return designs.defer("draft") if self.action == "list" else designs

    def get_serializer_class(self) -> Any:
        return DesignSummarySerializer if self.action == "list" else self.serializer_class

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return _answer(self.get_object())

    @extend_schema(
        summary="The draft's document alone, to be imported elsewhere; that it was taken is in the audit",
        responses={200: OpenApiResponse(OpenApiTypes.OBJECT, description="The design document.")},
    )
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def export(self, request: Request, pk: str) -> Response:
        document = export_design(design=self.get_object(), by=caller_of(request).label)
        return Response(document, headers={"Content-Disposition": 'attachment; filename="design.json"'})

    @extend_schema(
        summary="Store a new design",
        parameters=[TEAM_PARAMETER],
        request=DOCUMENT_REQUEST,
        responses={201: DesignSerializer},
    )
    def create(self, request: Request) -> Response:
        team_id, document = _team_of(request, "create"), _document(request)
        with transaction.atomic(), _malformed_as_problem():
            made = create_design(document=document, team_id=team_id, by=caller_of(request).label)
            design = self.get_queryset().get(pk=made.pk)
        response = _answer(design, status=201)
        response["Location"] = reverse("design-detail", args=[design.pk])
        return response

    @extend_schema(
        summary="Replace the draft", parameters=[IF_MATCH], request=DOCUMENT_REQUEST, responses=DesignSerializer
    )
    def update(self, request: Request, pk: str) -> Response:
        self.get_object()  # a 404 before anything is said of the body
        # Read and parsed before the lock, which on SQLite is the whole database's: a slow body would hold it.
        with _malformed_as_problem():
            parsed = parse_design(_document(request))
        with transaction.atomic():
            design = self._locked()
            save_draft(design=design, parsed=parsed)
        return _answer(design)

    @extend_schema(
        summary="Replace some top-level fields of the draft",
        parameters=[IF_MATCH],
        request=CHANGES_REQUEST,
        responses=DesignSerializer,
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        changes = _document(request)
        if not isinstance(changes, dict):
            raise invalid([FieldError("", "wrong_type", "A JSON object is needed here.")])
        before = self.get_object()
        with _malformed_as_problem():
            parsed = parse_merged(design=before, changes=changes)
        with transaction.atomic(), _malformed_as_problem():
            design = self._locked()
            if design.revision != before.revision:  # saved in between: merged into that draft
                parsed = parse_merged(design=design, changes=changes)
            save_draft(design=design, parsed=parsed)
        return _answer(design)

    @extend_schema(
        summary="Delete a design that is not deployed; history keeps its name",
        parameters=[IF_MATCH],
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        try:
            with transaction.atomic():
                delete_design(design=self._locked(), by=caller_of(self.request).label)
        except DesignDeployed as refused:
            raise ApiProblem(409, "design-deployed", str(refused), deployments=refused.names) from None
        return Response(status=204)

    @extend_schema(
        summary="Check a design without storing it; nothing is executed",
        parameters=[TEAM_PARAMETER],
        request=DOCUMENT_REQUEST,
        responses=DesignProblemsSerializer,
    )
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None)
    def validate(self, request: Request) -> Response:
        team_id = _team_of(request, "validate")
        with _malformed_as_problem():
            parsed = parse_design(_document(request))
        problems = problems_with(parsed, team_id=team_id)
        return Response({"problems": ProblemSerializer(problems, many=True).data})

    @extend_schema(summary="The versions of a design, newest first", responses=VersionSummarySerializer(many=True))
    @action(detail=True, methods=["get"], filterset_class=None, serializer_class=VersionSummarySerializer)
    def versions(self, request: Request, pk: str) -> Response:
        versions: Any = DesignVersion.objects.filter(design=self.get_object()).defer("document")
        page: Any = self.paginate_queryset(versions)
        return self.get_paginated_response(VersionSummarySerializer(page, many=True).data)

    @extend_schema(summary="One version with its document", responses=VersionSerializer)
    @action(
        detail=True,
        methods=["get"],
        url_path=r"versions/(?P<number>[0-9]{1,9})",
        filterset_class=None,
        pagination_class=None,
    )
    def version(self, request: Request, pk: str, number: str) -> Response:
        versions = DesignVersion.objects.filter(design=self.get_object())
        return Response(VersionSerializer(get_object_or_404(versions, number=int(number))).data)

    def _locked(self) -> OrchestrationDesign:
        """The design with its row's lock, once `If-Match` has been checked under it."""
        rows = self.get_queryset().select_related(None).select_for_update(no_key=True)
        design: OrchestrationDesign = get_object_or_404(rows, pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, design)
        check_if_match(self.request, design.revision)
        return design


def _answer(design: OrchestrationDesign, status: int = 200) -> Response:
    return Response(DesignSerializer(design).data, status=status, headers={"ETag": etag(design.revision)})


def _document(request: Request) -> Any:
    refuse_blank_body(request)
    return request.data


def _team_of(request: Request, action: str) -> int:
    """The team that `?team=` names, or the one that is meant without: the body is the document, and nothing else."""
    refuse_unknown_parameters(request, {"team", "format"})
    return team_for(request, RIGHTS["design"][action], named=request.query_params.get("team"), pointer="/team")


@contextmanager
def _malformed_as_problem() -> Iterator[None]:
    try:
        yield
    except MalformedDesign as malformed:
        raise invalid([FieldError(found.pointer, found.code, found.message) for found in malformed.problems]) from None
