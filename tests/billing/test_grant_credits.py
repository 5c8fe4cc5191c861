"""manage.py grant_credits: by id or by name, once a key, and nothing given when something is wrong."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Organisation
from billing import ledger
from billing.models import Entry
from tests.billing.money import balance

pytestmark = pytest.mark.django_db


def grant(organisation, amount="12.5", reason="A workshop", **options):
    out = StringIO()
    call_command("grant_credits", str(organisation), amount, reason=reason, stdout=out, **options)
    return out.getvalue()


def test_credits_are_granted_by_the_organisations_id(alice):
    assert grant(alice.pk) == "Granted 12.50 credits to Alice's Plumbing. The balance became 12.5001.\n"
    made = Entry.objects.get(description="A workshop")
    assert (made.kind, made.amount_micro, made.actor) == ("grant", 12_500_000, "grant_credits")


def test_credits_are_granted_by_the_organisations_name_whatever_its_case(alice):
    grant("alice's plumbing", by="olga@example.com")
    assert Entry.objects.get(description="A workshop").actor == "olga@example.com"


def test_a_slug_means_its_organisation_even_where_another_is_called_so(alice):
    Organisation.objects.filter(pk=alice.pk).update(slug="plumbing")
    Organisation.objects.create(name="Plumbing")
    assert "Alice's Plumbing" in grant("plumbing")


def test_an_organisation_without_a_wallet_is_given_one():
    bob = Organisation.objects.create(name="Bob's")
    grant("Bob's")
    assert balance(bob)[0] == 12_500_000


def test_granting_twice_gives_twice_unless_the_key_is_the_same(alice):
    for key in ["", "", "workshop", "workshop"]:
        grant(alice.pk, "1", key=key)
    assert balance(alice)[0] == 3_000_100


@pytest.mark.parametrize(("setting", "days", "lasts"), [(0, None, None), (30, None, 30), (30, 7, 7), (30, 0, None)])
def test_granted_credits_last_as_long_as_asked_or_set(alice, settings, setting, days, lasts):
    settings.GRANTED_CREDITS_LAST_DAYS = setting
    before = timezone.now()
    grant(alice.pk, days=days)
    expires_at = Entry.objects.get(description="A workshop").lot.expires_at
    assert (expires_at is None) == (lasts is None)
    assert lasts is None or timedelta(0) <= expires_at - before - timedelta(days=lasts) < timedelta(minutes=10)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"organisation": "Nobody's"}, "no organisation"),
        ({"organisation": "00000000-0000-0000-0000-000000000001"}, "no organisation"),
        ({"amount": "ten"}, "no number"),
        ({"amount": "NaN"}, "no number"),
        ({"amount": "1e999999"}, "no number"),
        ({"amount": "0.0000001"}, "no number"),
        ({"amount": "0"}, "more than nothing"),
        ({"amount": "-5"}, "more than nothing"),
        ({"amount": "1000000001"}, "at most a billion"),
        ({"reason": "two\nlines"}, "description must be"),
        ({"days": -1}, "--days"),
        ({"days": 36_501}, "--days"),
    ],
)
def test_what_makes_no_sense_grants_nothing(alice, options, problem):
    with pytest.raises(CommandError, match=problem):
        grant(**{"organisation": alice.pk} | options)
    assert balance(alice) == (100, 0, 100)


def test_a_key_of_another_grant_is_refused(alice):
    grant(alice.pk, "1", key="workshop")
    with pytest.raises(CommandError, match="another grant"):
        grant(alice.pk, "2", key="workshop")


def test_a_name_that_several_have_is_asked_for_by_id(alice):
    twin = Organisation.objects.create(name=alice.name)
    with pytest.raises(CommandError, match=str(twin.pk)):
        grant(alice.name)
    assert ledger.balance_of(alice.id).balance_micro == 100
