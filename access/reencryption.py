"""Everything that is encrypted at rest, encrypted again with the newest key: so that an old one can be thrown away."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import models
from django.db.models import F, TextField, Value
from django.db.models.functions import Cast

from access.encryption import EncryptedTextField, rotate_token


@dataclass
class Reencryption:
    """How many columns of rows were rewritten, and those that none of the keys opens, each as `provider account 7`."""

    rewritten: int = 0
    unreadable: list[str] = field(default_factory=list)


def reencrypt_all() -> Reencryption:
    """Rewrite every encrypted column. It may be broken off and begun again, while the site runs: no text is changed."""
    done = Reencryption()
    for column in _encrypted_columns():
        rows = _rows_with_text(column)
        for row_id, token in rows.values_list("pk", "ciphertext").iterator():
            try:
                rotated = Value(rotate_token(token), output_field=TextField())
            except InvalidToken:
                done.unreadable.append(f"{column.model._meta.verbose_name} {row_id}")  # noqa: SLF001 - as above
                continue
            # Only if nobody has written it meanwhile: what is new is encrypted with the newest key already.
            done.rewritten += rows.filter(pk=row_id, ciphertext=token).update(**{column.name: rotated})
    return done


def count_encrypted() -> Reencryption:
    """What `reencrypt_all` would do, without doing it: `rewritten` are those that a key opens."""
    found = Reencryption()
    for column in _encrypted_columns():
        for row_id, token in _rows_with_text(column).values_list("pk", "ciphertext").iterator():
            try:
                rotate_token(token)
            except InvalidToken:
                found.unreadable.append(f"{column.model._meta.verbose_name} {row_id}")  # noqa: SLF001 - as below
            else:
                found.rewritten += 1
    return found


def _rows_with_text(column: "models.Field[str, str]") -> "models.QuerySet[Any]":
    everything = column.model._base_manager  # noqa: SLF001 - Django's documented API
    return everything.annotate(ciphertext=Cast(F(column.attname), TextField())).exclude(ciphertext="")


def _encrypted_columns() -> "Iterator[models.Field[str, str]]":
    for model in apps.get_models():
        yield from (column for column in model._meta.local_fields if isinstance(column, EncryptedTextField))  # noqa: SLF001 - Django's documented API
