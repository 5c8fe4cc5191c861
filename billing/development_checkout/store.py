"""What the stand-in remembers, in one SQLite file of its own: production tables hold no trace of a toy."""

import json
import secrets
import sqlite3
import string
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from billing.development_checkout.errors import CARD_ERROR, ApiError, Json, no_such

# Ten thousand purchases with all that belongs to them. A full file refuses, rather than forget what a purchase needs.
_MOST_OBJECTS = 50_000
# Older events go, as they do at Stripe (after thirty days).
_MOST_EVENTS = 5_000
_ANSWERS_KEPT_S = 24 * 3600
_MOST_ANSWERS = 5_000
_WAIT_FOR_LOCK_S = 20
_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 24
_DELIVERY = "id, event_id, due_at, attempts, is_stale, outcome"
_SCHEMA = """
CREATE TABLE objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX objects_by_kind ON objects (kind, seq);
CREATE TABLE answers (
  key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
  request_id TEXT NOT NULL, created_at REAL NOT NULL
);
CREATE INDEX answers_by_age ON answers (created_at);
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, due_at REAL, claimed_until REAL NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0, is_stale INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT ''
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE TABLE switches (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = 1;
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to an idempotency key."""

    request: str
    status: int
    body: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to the webhook. `due_at` None: it arrived, or was given up."""

    id: int
    event_id: str
    due_at: float | None
    attempts: int
    is_stale: bool
    outcome: str


@dataclass(slots=True)
class Books:
    """The objects, answers and deliveries, inside one transaction."""

    connection: sqlite3.Connection
    request_id: str | None = None
    idempotency_key: str | None = None
    emitted: int = field(default=0)

    # Objects. Keys that begin with an underscore are ours and never shown.

    def add(self, prefix: str, kind: str, fields: Json) -> Json:
        """Store a new object of Stripe's `kind` under a new id. Raises ApiError when the file is full."""
        self._make_room(kind)
        body = {"id": new_id(prefix), "object": kind, "created": int(time.time()), "livemode": False} | fields
        self._run("INSERT INTO objects (id, kind, body) VALUES (?, ?, ?)", (body["id"], kind, json.dumps(body)))
        return body

    def save(self, body: Json) -> None:
        self._run("UPDATE objects SET body = ? WHERE id = ?", (json.dumps(body), body["id"]))

    def find(self, identifier: str, kind: str | None = None) -> Json | None:
        row = self._row("SELECT kind, body FROM objects WHERE id = ?", (identifier,))
        return json.loads(row[1]) if row and kind in (None, row[0]) else None

    def get(self, identifier: str, kind: str, param: str = "id") -> Json:
        """Raises ApiError (404, resource_missing)."""
        body = self.find(identifier, kind)
        if body is None:
            raise no_such(kind, identifier, param)
        return body

    def newest(
        self, kind: str, where: Mapping[str, Any] | None = None, *, before: str = "", after: str = "", most: int = 100
    ) -> list[Json]:
        """Return objects, newest first: those made before one, or the nearest made after one, `most` at the most.

        `where` maps top-level fields, optionally with an operator (`created >=`), to values.
        """
        conditions, values = _conditions(kind, where or {})
        for identifier, comparison in ((before, "<"), (after, ">")):
            if identifier:
                conditions.append(f"seq {comparison} (SELECT seq FROM objects WHERE id = ?)")
                values.append(identifier)
        order = "ASC" if after else "DESC"
        query = f"SELECT body FROM objects WHERE {' AND '.join(conditions)} ORDER BY seq {order} LIMIT ?"
        bodies = [json.loads(body) for (body,) in self._run(query, (*values, most))]
        return bodies[::-1] if after else bodies

    def least(self, kind: str, field: str, where: Mapping[str, Any]) -> float | None:
        """Return the smallest value of a field; None if there is no such object."""
        conditions, values = _conditions(kind, where)
        query = f"SELECT MIN(json_extract(body, '$.{field}')) FROM objects WHERE {' AND '.join(conditions)}"
        row = self._row(query, tuple(values))
        return row[0] if row else None

    def delete(self, identifier: str) -> None:
        self._run("DELETE FROM objects WHERE id = ?", (identifier,))

    def _make_room(self, kind: str) -> None:
        is_event = kind == "event"
        (count,) = self._row("SELECT COUNT(*) FROM objects WHERE (kind = 'event') = ?", (is_event,)) or (0,)
        if is_event and count >= _MOST_EVENTS:
            (oldest,) = self._row("SELECT id FROM objects WHERE kind = 'event' ORDER BY seq LIMIT 1") or ("",)
            self._run("DELETE FROM deliveries WHERE event_id = ?", (oldest,))
            self.delete(oldest)
        elif not is_event and count >= _MOST_OBJECTS:
            raise ApiError(
                f"The development checkout holds {_MOST_OBJECTS} objects and takes no more: delete {path()}.",
                status=500,
                kind="api_error",
            )

    # Answers to idempotency keys.

    def answer_to(self, key: str) -> Answer | None:
        row = self._row(
            "SELECT request, status, body, request_id FROM answers WHERE key = ? AND created_at > ?",
            (key, time.time() - _ANSWERS_KEPT_S),
        )
        return Answer(*row) if row else None

    def keep_answer(self, key: str, answer: Answer) -> None:
        self._run(
            "INSERT OR REPLACE INTO answers (key, request, status, body, request_id, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key, answer.request, answer.status, answer.body, answer.request_id, time.time()),
        )
        self._run(
            "DELETE FROM answers WHERE created_at <"
            " (SELECT created_at FROM answers ORDER BY created_at DESC LIMIT 1 OFFSET ?)",
            (_MOST_ANSWERS,),
        )

    # Deliveries.

    def plan_delivery(self, event_id: str, due_at: float, *, is_stale: bool = False) -> None:
        self._run("INSERT INTO deliveries (event_id, due_at, is_stale) VALUES (?, ?, ?)", (event_id, due_at, is_stale))

    def claim_delivery(self, now: float, claimed_for_s: float) -> Delivery | None:
        """Take the delivery that is due first; nobody else gets it until the claim is over."""
        row = self._row(
            f"UPDATE deliveries SET claimed_until = ? WHERE id = (SELECT id FROM deliveries WHERE due_at <= ?"
            f" AND claimed_until <= ? ORDER BY due_at, id LIMIT 1) RETURNING {_DELIVERY}",
            (now + claimed_for_s, now, now),
        )
        return _delivery(row) if row else None

    def record_delivery(self, delivery: Delivery, outcome: str, due_at: float | None) -> None:
        self._run(
            "UPDATE deliveries SET attempts = attempts + 1, outcome = ?, due_at = ?, claimed_until = 0 WHERE id = ?",
            (outcome, due_at, delivery.id),
        )

    def next_delivery_at(self) -> float | None:
        row = self._row("SELECT MIN(MAX(due_at, claimed_until)) FROM deliveries WHERE due_at IS NOT NULL")
        return row[0] if row else None

    def deliveries_of(self, event_id: str) -> list[Delivery]:
        query = f"SELECT {_DELIVERY} FROM deliveries WHERE event_id = ? ORDER BY id DESC LIMIT 5"
        return [_delivery(row) for row in self._run(query, (event_id,))]

    # Switches of the control page.

    def switch(self, name: str, default: str) -> str:
        row = self._row("SELECT value FROM switches WHERE name = ?", (name,))
        return str(row[0]) if row else default

    def set_switch(self, name: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO switches (name, value) VALUES (?, ?)", (name, value))

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, values).fetchall()

    def _row(self, statement: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        rows = self._run(statement, values)
        return rows[0] if rows else None


def _conditions(kind: str, where: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    conditions, values = ["kind = ?"], [kind]
    for name, value in where.items():
        column, _, operator = name.partition(" ")
        options = value if isinstance(value, list) else [value]
        places = f"({', '.join('?' * len(options))})"
        conditions.append(f"json_extract(body, '$.{column}') {operator or 'IN'} {places}")
        values.extend(options)
    return conditions, values


def _delivery(row: tuple[Any, ...]) -> Delivery:
    identifier, event_id, due_at, attempts, is_stale, outcome = row
    return Delivery(identifier, event_id, due_at, attempts, bool(is_stale), outcome)


def path() -> Path:
    return Path(settings.DATA_DIR) / "development_checkout.sqlite3"


@contextmanager
def open_books() -> Iterator[Books]:
    """One transaction; a card error commits, for a declined payment is remembered, and any other error rolls back."""
    with closing(sqlite3.connect(path(), timeout=_WAIT_FOR_LOCK_S, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            _make_tables(connection)
            yield Books(connection)
        except BaseException as error:
            is_decline = isinstance(error, ApiError) and error.status == CARD_ERROR
            connection.execute("COMMIT" if is_decline else "ROLLBACK")
            raise
        connection.execute("COMMIT")


def new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def public(body: Json) -> Json:
    """The object as Stripe would show it."""
    return {name: value for name, value in body.items() if not name.startswith("_")}


def _make_tables(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
