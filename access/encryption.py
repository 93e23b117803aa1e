"""Text that is encrypted at rest with keys of its own, so that a copy of the database gives no secret away."""

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


class EncryptedTextField(models.TextField):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """A TextField whose column holds a Fernet token. Empty text stays empty; it cannot be searched or ordered by."""

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode() if text else text

    def from_db_value(self, value: str | None, expression: object, connection: object) -> str | None:
        """Raises `cryptography.fernet.InvalidToken` when none of the keys made the token."""
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(value.encode()).decode() if value else value


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def rotate_token(token: str) -> str:
    """The same text under the newest key. Raises `cryptography.fernet.InvalidToken` when none of the keys made it."""
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).rotate(token.encode()).decode()
