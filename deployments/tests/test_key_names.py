"""Names of API keys are shown in logs and lists, so they are one line of text."""

import pytest

from deployments.api.key_serializers import KeyRequest


@pytest.mark.parametrize(
    "name", ["a\nb", "a\r\nb", "a\tb", "a\x1b[31mb", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b", "a\x00b"]
)
def test_a_name_with_a_control_character_is_refused(name: str) -> None:
    request = KeyRequest(data={"name": name})
    assert not request.is_valid()
    assert list(request.errors) == ["name"]


@pytest.mark.parametrize("name", ["crm", "Kunden-CRM (Zürich) №1", "顧客 🔑"])
def test_a_name_in_any_script_is_kept(name: str) -> None:
    request = KeyRequest(data={"name": name})
    assert request.is_valid(), request.errors
    assert request.validated_data["name"] == name
