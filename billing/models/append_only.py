"""Rows that are written once: a mistake about money is corrected by a new row, never by an edit."""

from typing import Any, NoReturn, TypeVar

from django.db import models

from billing.exceptions import AppendOnly

Row = TypeVar("Row", bound=models.Model)


class AppendOnlyQuerySet(models.QuerySet[Row]):
    def update(self, **fields: Any) -> NoReturn:
        raise AppendOnly(self.model.__name__)

    def delete(self) -> NoReturn:
        raise AppendOnly(self.model.__name__)


class AppendOnlyModel(models.Model):
    """Refuses, with AppendOnly, to save a row that exists or to delete one; so do its querysets."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AppendOnly(type(self).__name__)
        # Never an UPDATE in disguise: a new object that was given an existing row's id must fail.
        super().save(force_insert=True, using=options.get("using"))

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise AppendOnly(type(self).__name__)
