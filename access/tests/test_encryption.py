"""Provider keys at rest."""

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.test import override_settings

from access.encryption import EncryptedTextField

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def stored(text: str) -> str:
    return str(EncryptedTextField().get_prep_value(text))


def loaded(column: str) -> str | None:
    return EncryptedTextField().from_db_value(column, None, None)


def test_the_column_gives_the_text_away_to_nobody_without_the_key() -> None:
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        column = stored("sk-secret")
        assert "sk-secret" not in column
        assert loaded(column) == "sk-secret"
    with override_settings(ENCRYPTION_KEYS=[NEW]), pytest.raises(InvalidToken):
        loaded(column)


def test_equal_texts_have_different_columns() -> None:
    assert stored("sk-secret") != stored("sk-secret")


def test_an_old_key_still_reads_while_the_new_one_writes() -> None:
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        column = stored("sk-secret")
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]):
        assert loaded(column) == "sk-secret"
        rewritten = stored("sk-secret")
    with override_settings(ENCRYPTION_KEYS=[NEW]):
        assert loaded(rewritten) == "sk-secret"


def test_empty_text_stays_empty() -> None:
    assert stored("") == ""
    assert loaded("") == ""
