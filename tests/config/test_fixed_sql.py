"""SQL that is always the same writes what the ORM would have written, to the last character of each column."""

from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, IntegrityError, connection, transaction

from billing.models import Capture, Hold, HoldStatus, Wallet
from config import fixed_sql
from tests import factories
from voice.models import Session, UsageRecord

pytestmark = [pytest.mark.django_db, pytest.mark.each_database]

CREDIT = factories.MICRO
AN_ID = UUID("0a0b0c0d-1111-4222-8333-944455556666")
IN_INDIA = datetime(2026, 7, 5, 4, 3, 2, 10, tzinfo=timezone(timedelta(hours=5, minutes=30)))
AWKWARD = '100 %s of it\'s "said" in नमस्ते; {id} \\ --'


@pytest.fixture
def wallet():
    return Wallet.objects.get(organisation=factories.make_organisation(credits=100))


@pytest.fixture
def make_hold(wallet):
    def make(key="a", **fields):
        amounts = dict.fromkeys(["opened_amount_micro", "amount_micro", "available_after_micro"], 10 * CREDIT)
        return Hold(wallet=wallet, key=key, expires_at=IN_INDIA, **amounts, **fields)

    return make


@pytest.fixture
def hold(make_hold):
    made = make_hold()
    made.save(force_insert=True)
    return made


@pytest.fixture
def session(wallet):
    return Session.objects.create(organisation_id=wallet.organisation_id, ticket_expires_at=IN_INDIA)


@pytest.fixture
def make_capture(hold):
    def make(key="response:resp_1", **fields):
        return Capture(hold_id=hold.id, key=key, amount_micro=7, captured_micro=5, uncollected_micro=2, **fields)

    return make


@pytest.fixture
def make_usage(session):
    def make(upstream_id="resp_1", **fields):
        return UsageRecord(
            session_id=session.id,
            source=UsageRecord.Source.RESPONSE,
            upstream_id=upstream_id,
            model_slug=AWKWARD,
            usage={"of": [AWKWARD, 1, None, True, {}]},
            lines=[{"kind": "audio_out", "amount_micro": 2**60}],
            amount_micro=2**60,
            captured_micro=2**60,
            is_estimated=True,
            **fields,
        )

    return make


@pytest.fixture(params=["capture", "usage", "hold"])
def make_row(request):
    """One of the rows that a turn writes, or one whose key is no number; two calls make equal rows."""
    make = request.getfixturevalue(f"make_{request.param}")
    if request.param == "hold":
        return lambda: make("another", id=AN_ID, reference=AWKWARD, created_at=IN_INDIA)
    return lambda: make(created_at=IN_INDIA)


def written_by(write, row):
    """The table's only row as the driver gives it, once `write` has written it; it is then taken back.

    Without the key, if the database chose that.
    """
    chosen = row._meta.auto_field.column if row._meta.auto_field else None
    with transaction.atomic(), connection.cursor() as cursor:
        write(row)
        cursor.execute(f"SELECT * FROM {row._meta.db_table}")
        [values] = cursor.fetchall()
        columns = [column[0] for column in cursor.description]
        transaction.set_rollback(True)
    return {name: repr(value) for name, value in zip(columns, values, strict=True) if name != chosen}


def test_a_row_is_written_as_the_orm_writes_it(make_row):
    assert written_by(insert_one, make_row()) == written_by(lambda row: row.save(force_insert=True), make_row())


def insert_one(row):
    fixed_sql.insert([row])


def test_many_rows_are_written_fifty_a_statement_and_in_their_order(make_usage, django_assert_num_queries):
    names = [f"resp_{number}" for number in range(101)]
    with django_assert_num_queries(3):
        fixed_sql.insert([make_usage(name) for name in names])
    assert list(UsageRecord.objects.order_by("id").values_list("upstream_id", flat=True)) == names


def test_no_rows_take_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        fixed_sql.insert([])


def test_the_database_alone_chooses_an_automatic_key(make_usage):
    fixed_sql.insert([make_usage(id=2**40)])
    assert UsageRecord.objects.get().id < 2**40


@pytest.mark.parametrize("make_row", ["capture", "usage"], indirect=True)
def test_a_repeat_is_refused_with_all_that_came_with_it(make_row):
    row = make_row()
    fixed_sql.insert([row])
    with pytest.raises(IntegrityError), transaction.atomic():
        fixed_sql.insert([make_row(), make_row()])
    assert type(row).objects.count() == 1


def test_a_row_that_a_constraint_forbids_is_refused(make_capture):
    with pytest.raises(IntegrityError), transaction.atomic():
        fixed_sql.insert([make_capture(key="")])
    assert not Capture.objects.exists()


def test_an_update_changes_the_row_it_names_and_no_other(make_hold):
    fixed_sql.insert([make_hold("mine"), make_hold("another's")])
    mine, others = Hold.objects.get(key="mine"), Hold.objects.get(key="another's")
    where = {"id": mine.id, "status": HoldStatus.OPEN, "captured_micro": 0}
    put = {"captured_micro": 3, "expires_at": IN_INDIA + timedelta(microseconds=1)}
    assert fixed_sql.update(Hold, where, put=put, add={"uncollected_micro": 4, "amount_micro": 5}) == 1
    changed = Hold.objects.get(key="mine")
    assert (changed.captured_micro, changed.uncollected_micro, changed.amount_micro) == (3, 4, 10 * CREDIT + 5)
    assert changed.expires_at == mine.expires_at + timedelta(microseconds=1)
    assert changed.created_at == mine.created_at
    assert Hold.objects.filter(key="another's").values().get() == Hold.objects.values().get(id=others.id)


@pytest.mark.parametrize("differs", [{"id": AN_ID}, {"status": HoldStatus.EXPIRED}, {"amount_micro": 1}])
def test_an_update_that_finds_nothing_says_so_and_changes_nothing(hold, differs):
    where = {"id": hold.id, "status": HoldStatus.OPEN, "amount_micro": hold.amount_micro} | differs
    assert fixed_sql.update(Hold, where, put={"captured_micro": 1}) == 0
    assert Hold.objects.get().captured_micro == 0


def test_a_null_is_never_found(session):
    assert session.hold_id is None
    assert fixed_sql.update(Session, {"hold_id": None}, put={"captured_micro": 1}) == 0


def test_an_update_that_a_constraint_forbids_is_refused(hold):
    with pytest.raises(IntegrityError), transaction.atomic():
        fixed_sql.update(Hold, {"id": hold.id}, add={"captured_micro": -1})
    assert Hold.objects.get().captured_micro == 0


def test_an_update_of_everything_or_of_an_unknown_field_is_no_statement(hold):
    with pytest.raises(DatabaseError), transaction.atomic():
        fixed_sql.update(Hold, {}, add={"captured_micro": 1})
    with pytest.raises(FieldDoesNotExist):
        fixed_sql.update(Hold, {"id": hold.id}, put={"captured_micros": 1})
    assert Hold.objects.get().captured_micro == 0
