"""SQL that is always the same: put together once, and run with new values.

For the few statements of every turn of a live call. A queryset puts its text together anew each time, which takes
several times as long as what the database then does. Names are the models' and every value is converted by its field,
as Django does it. Managers and signals are passed by: whoever writes in this way answers for what they would refuse,
and for the transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Field, Model

# Stays below 999 parameters, all that an old SQLite takes, and bounds how many texts are kept for a model.
_ROWS_A_STATEMENT = 50
_Field: TypeAlias = "Field[Any, Any]"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def insert(rows: Sequence[Model]) -> None:
    """Insert new rows of one model, fifty a statement.

    As bulk_create, but the database alone chooses an automatic key, and its row does not learn it. Raises
    IntegrityError, after which the transaction can only be rolled back.
    """
    for first in range(0, len(rows), _ROWS_A_STATEMENT):
        some = rows[first : first + _ROWS_A_STATEMENT]
        fields = _inserted(type(some[0]))
        values = ((field, field.pre_save(row, True)) for row in some for field in fields)
        _run(_insert_sql(type(some[0]), len(some)), values)


def update(
    model: type[Model],
    where: Mapping[str, Any],
    *,
    put: Mapping[str, Any] = _NOTHING,
    add: Mapping[str, int] = _NOTHING,
) -> int:
    """Change the rows whose fields have the values of `where`, and return how many there were; a null is never found.

    `put` are the new values of fields, `add` is what fields grow by. Raises IntegrityError as `insert` does.
    """
    named = chain(put.items(), add.items(), where.items())
    values = ((_field(model, name), value) for name, value in named)
    return _run(_update_sql(model, tuple(put), tuple(add), tuple(where)), values)


def _run(sql: str, values: Iterable[tuple[_Field, Any]]) -> int:
    # Asked for once: each use of `django.db.connection` looks for this thread's again.
    database = connections[DEFAULT_DB_ALIAS]
    with database.cursor() as cursor:
        cursor.execute(sql, [field.get_db_prep_save(value, database) for field, value in values])
        found: int = cursor.rowcount
        return found


@cache
def _insert_sql(model: type[Model], rows: int) -> str:
    fields = _inserted(model)
    columns = ", ".join(_column(field) for field in fields)
    row = f"({', '.join(['%s'] * len(fields))})"
    return f"INSERT INTO {_quoted(model._meta.db_table)} ({columns}) VALUES {', '.join([row] * rows)}"


@cache
def _update_sql(model: type[Model], put: Sequence[str], add: Sequence[str], where: Sequence[str]) -> str:
    columns = {name: _column(_field(model, name)) for name in (*put, *add, *where)}
    changes = [f"{columns[name]} = %s" for name in put]
    changes += [f"{columns[name]} = {columns[name]} + %s" for name in add]
    conditions = " AND ".join(f"{columns[name]} = %s" for name in where)
    return f"UPDATE {_quoted(model._meta.db_table)} SET {', '.join(changes)} WHERE {conditions}"


@cache
def _inserted(model: type[Model]) -> tuple[_Field, ...]:
    return tuple(field for field in model._meta.concrete_fields if field is not model._meta.auto_field)


@cache
def _field(model: type[Model], name: str) -> _Field:
    """Raises FieldDoesNotExist."""
    return cast(_Field, model._meta.get_field(name))


def _column(field: _Field) -> str:
    return _quoted(str(field.column))


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
