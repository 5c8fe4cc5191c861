"""A text column that is encrypted in the database and plain in Python."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

from config.encryption import decrypt, encrypt

if TYPE_CHECKING:
    TextField = models.TextField[str, str]
else:
    # Django's fields take no type parameters at run time.
    TextField = models.TextField


class EncryptedTextField(TextField):
    """Stored encrypted, read decrypted; empty text stays empty. Looking rows up by its value finds nothing.

    Reading a row whose key is gone raises config.encryption.NotDecryptable.
    """

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return encrypt(text) if text else text

    def from_db_value(self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper) -> str | None:
        return decrypt(value) if value else value
