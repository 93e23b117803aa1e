"""Credentials under a new key: every one of them, and none lost."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.test import override_settings

from access.models import Team
from designs.models import ProviderAccount

pytestmark = pytest.mark.django_db

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


def add(name: str, api_key: str) -> ProviderAccount:
    return ProviderAccount.objects.create(team=Team.default(), name=name, kind="openai", api_key=api_key)


def reencrypt() -> str:
    out = StringIO()
    call_command("reencrypt", stdout=out, stderr=out)
    return out.getvalue()


def test_after_it_the_new_key_alone_opens_them_all() -> None:
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        accounts = [add("one", "sk-one"), add("two", "sk-two"), add("none", "")]
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]):
        assert reencrypt() == "2 were encrypted again with the newest key.\n"
    with override_settings(ENCRYPTION_KEYS=[NEW]):
        assert [ProviderAccount.objects.get(id=each.id).api_key for each in accounts] == ["sk-one", "sk-two", ""]


def test_what_no_key_opens_is_named_and_left_as_it_is_and_the_others_are_done() -> None:
    with override_settings(ENCRYPTION_KEYS=[LOST]):
        lost = add("lost", "sk-lost")
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        add("one", "sk-one")
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]), pytest.raises(CommandError, match=r"1 were .* 1 could not"):
        reencrypt()
    with override_settings(ENCRYPTION_KEYS=[LOST]):
        assert ProviderAccount.objects.get(id=lost.id).api_key == "sk-lost"
    with override_settings(ENCRYPTION_KEYS=[NEW]):
        assert ProviderAccount.objects.get(name="one").api_key == "sk-one"
