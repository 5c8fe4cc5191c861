"""Wallets from before there were lots: migration 0002 gives their entries the lots that the ledger would have made."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from billing import ledger
from billing.audit import audit_ledger
from billing.models import Draw, Lot
from tests.billing.money import a_key, give, hold

pytestmark = [pytest.mark.django_db, pytest.mark.each_database]

make_lots = import_module("billing.migrations.0002_lots").make_lots


def lots_and_draws():
    lots = Lot.objects.order_by("entry_id").values_list(
        "wallet_id", "kind", "entry_id", "amount_micro", "remaining_micro", "reference", "created_at"
    )
    draws = Draw.objects.order_by("entry_id", "lot__entry_id")
    return list(lots), list(draws.values_list("entry_id", "lot__entry_id", "amount_micro"))


def forget_lots():
    """As the database was when migration 0002 came to this step."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM billing_draw")
        cursor.execute("DELETE FROM billing_lot")


def spend(organisation, amount_micro):
    state = hold(organisation, amount_micro)
    ledger.capture(state.id, amount_micro, key="r1")
    ledger.settle_hold(state.id)


def move(organisation):
    """Everything that could have happened: spending both kinds, refunds below zero and back, adjustments."""
    for number in (1, 2, 3):
        ledger.purchase(organisation.id, 40, key=a_key(), reference=f"purchase:{number}", description="")
    spend(organisation, 110)
    ledger.claw_back(organisation.id, 20, kind="refund", key=a_key(), reference="purchase:2", description="")
    give(organisation, 30)
    ledger.claw_back(organisation.id, 40, kind="dispute", key=a_key(), reference="purchase:3", description="")
    ledger.adjust(organisation.id, -15, key=a_key(), reason="Too much", actor="olga")
    ledger.claw_back(organisation.id, 100, kind="refund", key=a_key(), reference="purchase:1", description="")
    ledger.give_back(organisation.id, 40, kind="dispute", key=a_key(), reference="purchase:3", description="")
    ledger.adjust(organisation.id, 150, key=a_key(), reason="Sorry", actor="olga")
    spend(organisation, 20)


def test_the_entries_of_before_get_the_lots_that_the_ledger_would_have_made(alice, mallory):
    for organisation in (alice, mallory):
        move(organisation)
    made = lots_and_draws()
    forget_lots()
    make_lots(apps, None)
    assert lots_and_draws() == made
    assert list(audit_ledger()) == []
