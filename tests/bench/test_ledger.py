"""The ledger's bench: what its writers do is right, and its table says what was measured."""

import time

import pytest

from bench.ledger import Ledger, Load
from bench.ledger_writers import Writer
from bench.report import render
from billing import ledger
from billing.audit import audit_ledger
from billing.models import Entry, Hold
from tests.bench.test_report import SCHEDULE
from tests.billing.money import an_organisation

OPERATIONS = ("open_hold", "capture", "extend_hold", "settle_hold")


def a_load(database="SQLite", wallets=1, millis=(1.0, 2.0), failed=0):
    return Load(database, wallets, 2.0, dict.fromkeys(OPERATIONS, list(millis)), failed)


def rendered(books):
    return render(["2 cores"], SCHEDULE, 5_000, [], None, books, took_s=60)


def test_operations_of_every_kind_count():
    load = a_load(millis=(1.0, 2.0, 9.0))
    assert (load.operations_per_s, load.p99_ms, load.p99_ms_of("capture")) == (6.0, 9.0, 9.0)


def test_each_load_has_a_row():
    report = rendered(Ledger(loads=[a_load(), a_load("PostgreSQL", 20)]))
    assert "| SQLite | 1 | 4 | 2.0 | 2.0 |" in report and "| PostgreSQL | 20 |" in report


def test_what_was_not_measured_is_said():
    report = rendered(Ledger(loads=[a_load()], remarks=["PostgreSQL: not measured: it was not found"]))
    assert "- PostgreSQL: not measured: it was not found" in report


def test_calls_that_could_not_get_the_database_are_said():
    assert "SQLite, 1 wallets: 3 calls could not get the database" in rendered(Ledger(loads=[a_load(failed=3)]))


@pytest.mark.django_db(transaction=True)
def test_a_writer_runs_whole_calls_and_leaves_the_books_right():
    organisation = an_organisation(credits_micro=10**9)
    now = time.monotonic()
    writer = Writer(organisation.id, counts_from=now, ends_at=now + 0.2)
    writer.run()
    calls = len(writer.micros["open_hold"])
    assert calls >= 1 and writer.failed == 0
    assert set(writer.micros) == set(OPERATIONS)
    assert Hold.objects.count() == Entry.objects.filter(kind="usage").count() >= calls
    assert ledger.balance_of(organisation.id).held_micro == 0
    assert list(audit_ledger()) == []
