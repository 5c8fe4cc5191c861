"""Moving every secret at rest to the newest key, so that older ones can be dropped."""

from django.apps import apps
from django.db import models, transaction

from config.encrypted_field import EncryptedTextField


def reencrypt_everything() -> int:
    """Encrypt every encrypted column anew with the newest key; return how many rows. A repeat does no harm.

    Raises config.encryption.NotDecryptable at the first row whose key is no longer known; those before it are done.
    """
    return sum(_reencrypt(model, names) for model in apps.get_models() if (names := _encrypted_in(model)))


def _encrypted_in(model: type[models.Model]) -> list[str]:
    return [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedTextField)]


def _reencrypt(model: type[models.Model], names: list[str]) -> int:
    rows = model._base_manager
    ids = list(rows.values_list("pk", flat=True))
    return sum(_reencrypt_row(rows, pk, names) for pk in ids)


def _reencrypt_row(rows: "models.Manager[models.Model]", pk: object, names: list[str]) -> bool:
    # A row at a time, locked: a secret that is being changed must not be changed back.
    with transaction.atomic():
        row = rows.select_for_update().only(*names).filter(pk=pk).first()
        if row is None:
            return False
        row.save(update_fields=names)
    return True
