"""Versions and their input schemas, kept in memory: a version never changes, and its document may be large."""

from functools import lru_cache
from uuid import UUID

from designs.models import DesignVersion
from executor.json_types import JsonObject


@lru_cache(maxsize=512)
def input_schema_of(version_id: UUID) -> JsonObject | None:
    """The input schema of a version, None when any object will do. Raises `DesignVersion.DoesNotExist`."""
    document = DesignVersion.objects.values_list("document", flat=True).get(id=version_id)
    schema: JsonObject | None = document.get("input_schema")
    return schema


@lru_cache(maxsize=512)
def pinned_version(version_id: UUID) -> DesignVersion:
    """The version's row without its document. Raises `DesignVersion.DoesNotExist`."""
    return DesignVersion.objects.defer("document").get(id=version_id)
