"""What Django makes anew for every test although it comes out the same, made once for each process of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db.backends.base.base import BaseDatabaseWrapper
from whitenoise.middleware import WhiteNoiseMiddleware

# Rows that say which models there are. Nothing else listens to `post_migrate`, which is sent to write them again.
_OF_THE_MODELS = {"django_content_type", "auth_permission"}


@contextmanager
def made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", _sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_arguments: None)
        finding = _found_once(WhiteNoiseMiddleware.add_files_from_finders)
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", finding)
        yield


def _sql_flush(
    style: Any, connection: BaseDatabaseWrapper, reset_sequences: bool = True, allow_cascade: bool = False
) -> list[str]:
    """As Django's own for what empties the database after a test, but for what comes back as it was."""
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    emptied = sorted(tables - _OF_THE_MODELS)
    return connection.ops.sql_flush(style, emptied, reset_sequences=reset_sequences, allow_cascade=allow_cascade)


def _found_once(find: Callable[[WhiteNoiseMiddleware], None]) -> Callable[[WhiteNoiseMiddleware], None]:
    """Every test's client has a middleware of its own, which looks for every static file."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}

    def add(middleware: WhiteNoiseMiddleware) -> None:
        served_as = (middleware.static_prefix, middleware.max_age)
        if served_as not in found:
            find(middleware)
            found[served_as] = dict(middleware.files)
        middleware.files.update(found[served_as])

    return add
