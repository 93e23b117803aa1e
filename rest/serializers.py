"""Serializers that refuse what they do not know by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.settings import api_settings

from rest.problems import MAX_ERRORS, MORE_ERRORS

#: Unknown fields that are compared with the known ones: it takes long, and nobody misspells more.
MAX_SUGGESTIONS = 5


class RefuseUnknownFields:
    """For serializers: a key that is no field, or that only the server sets, is an error at that key."""

    def to_internal_value(self, data: Any) -> Any:
        refused = self._refused(data) if isinstance(data, Mapping) else {}
        try:
            value = super().to_internal_value(data)  # type: ignore[misc] # the serializer comes after this class
        except ValidationError as error:
            # A field's own errors are a dict by field, as ours are: the caller learns of all at once.
            raise ValidationError({**error.detail, **refused}) from None  # type: ignore[dict-item] # always a dict here
        if refused:
            raise ValidationError(refused)
        return value

    def _refused(self, data: Mapping[str, Any]) -> dict[str, list[ErrorDetail]]:
        fields: Mapping[str, serializers.Field[Any, Any, Any, Any]] = self.fields  # type: ignore[attr-defined] # of the serializer
        writable = [name for name, field in fields.items() if not field.read_only]
        refused = [key for key in data if key not in writable]
        errors: dict[str, list[ErrorDetail]] = {}
        for number, key in enumerate(refused[:MAX_ERRORS]):
            if key in fields:
                errors[key] = [ErrorDetail(f"{key} is set by the server. Leave it out.", code="read_only")]
            else:
                sentence = _unknown(key, writable, suggest=number < MAX_SUGGESTIONS)
                errors[key] = [ErrorDetail(sentence, code="unknown_field")]
        if (more := len(refused) - MAX_ERRORS) > 0:
            sentence = f"{more} more fields are not taken either."
            errors[api_settings.NON_FIELD_ERRORS_KEY] = [ErrorDetail(sentence, code=MORE_ERRORS)]
        return errors


class StrictSerializer(RefuseUnknownFields, serializers.Serializer[Any]):
    """A Serializer that refuses unknown and read-only fields by name."""


class StrictModelSerializer(RefuseUnknownFields, serializers.ModelSerializer[Any]):
    """A ModelSerializer that refuses unknown and read-only fields by name."""


def _unknown(key: object, names: list[str], *, suggest: bool) -> str:
    close = get_close_matches(str(key)[:100], names, n=1) if suggest else []
    if close:
        return f"There is no field of this name. Did you mean {close[0]}?"
    return f"There is no field of this name. The fields are: {', '.join(names)}." if names else "No fields are taken."
