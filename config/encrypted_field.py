"""A text column that is encrypted in the database and plain in Python."""

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

from config.encryption import decrypt, encrypt

if TYPE_CHECKING:
    from django.db.models import TextField
else:
    # Django's own fields take no type parameters at run time.

    class TextField(models.TextField):
        def __class_getitem__(cls, _):
            return cls


_Set = TypeVar("_Set")
_Get = TypeVar("_Get")


class EncryptedTextField(TextField[_Set, _Get]):
    """Stored encrypted, read decrypted; empty text stays empty. Looking rows up by its value finds nothing.

    Reading a row whose key is gone raises config.encryption.NotDecryptable.
    """

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return encrypt(text) if text else text

    def from_db_value(self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper) -> str | None:
        return decrypt(value) if value else value
