"""What the OpenAPI document says of designs: the document's own JSON Schema, every pattern's config in it."""

import json
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from executor.document import design_json_schema

DOCUMENT_NAME = "DesignDocument"
#: A request whose body is the document itself; `DocumentField` puts the component there.
DOCUMENT_REQUEST = {"application/json": {"$ref": f"#/components/schemas/{DOCUMENT_NAME}"}}
CHANGES_REQUEST = {
    "application/json": {
        "type": "object",
        "description": "Top-level fields of the design document, which replace the draft's own.",
        "additionalProperties": {},
    }
}
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that was read: the change is refused if it is old."
)


class DocumentField(serializers.Field[Any, Any, Any, Any]):
    """A stored design document, to be read."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return value


class DocumentFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # the library is untyped there
    """Gives the document and its parts names of their own in the OpenAPI document."""

    target_class = DocumentField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, str]:
        for name, schema in _components().items():
            component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, object=name)  # type: ignore[no-untyped-call] # the library is untyped there
            auto_schema.registry.register_on_missing(component)
        return {"$ref": f"#/components/schemas/{DOCUMENT_NAME}"}


def _components() -> dict[str, Any]:
    """The document's schema and its definitions, which refer to each other as components."""
    text = json.dumps(design_json_schema()).replace("#/$defs/", "#/components/schemas/Design")
    schema = json.loads(text)
    parts = schema.pop("$defs", {})
    return {DOCUMENT_NAME: schema, **{f"Design{name}": part for name, part in parts.items()}}
