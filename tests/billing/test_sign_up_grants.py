"""Sign-up credits: once a person, for ever, under a ceiling a day."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from accounts.models import Organisation
from accounts.signals import organisation_created, person_verified
from billing import ledger
from billing.models import SignUpDay, SignUpGrant
from billing.sign_up_grants import grant_refused, grant_sign_up_credits
from billing.tasks import expire_granted_credits
from tests.billing.money import balance

pytestmark = pytest.mark.django_db


@pytest.fixture
def newcomer():
    return Organisation.objects.create(name="New")


@pytest.fixture(autouse=True)
def a_thousand_credits(settings):
    settings.SIGN_UP_CREDITS = 1000
    settings.SIGN_UP_CREDITS_A_DAY = 2500


def credits(organisation):
    return balance(organisation)[0] // ledger.MICRO


def test_a_new_organisation_is_given_a_wallet(newcomer):
    organisation_created.send(None, organisation_id=newcomer.id)
    assert balance(newcomer) == (0, 0, 0)


def test_a_verified_person_finds_a_thousand_credits(newcomer):
    person_verified.send(None, organisation_id=newcomer.id, person_key="p")
    assert credits(newcomer) == 1000


def test_a_person_is_granted_credits_once_for_ever_also_in_a_new_organisation(newcomer):
    other = Organisation.objects.create(name="Again")
    assert grant_sign_up_credits(newcomer.id, "p")
    assert not grant_sign_up_credits(newcomer.id, "p")
    assert not grant_sign_up_credits(other.id, "p")
    assert (credits(newcomer), credits(other)) == (1000, 0)


def test_two_people_are_two_grants(newcomer):
    other = Organisation.objects.create(name="Other")
    assert grant_sign_up_credits(newcomer.id, "p")
    assert grant_sign_up_credits(other.id, "q")


def test_the_operator_may_grant_nothing(newcomer, settings):
    settings.SIGN_UP_CREDITS = 0
    assert not grant_sign_up_credits(newcomer.id, "p")
    assert not SignUpGrant.objects.exists()


def test_a_grant_beyond_the_days_ceiling_is_refused_and_kept_to_be_seen(newcomer):
    assert [grant_sign_up_credits(newcomer.id, person) for person in "pqr"] == [True, True, False]
    assert credits(newcomer) == 2000
    assert SignUpGrant.objects.get(person_key="r").status == "refused"


def test_a_ceiling_of_zero_grants_nothing(newcomer, settings):
    settings.SIGN_UP_CREDITS_A_DAY = 0
    assert not grant_sign_up_credits(newcomer.id, "p")


def test_a_ceiling_beyond_sixty_four_bits_is_no_ceiling(newcomer, settings):
    settings.SIGN_UP_CREDITS_A_DAY = 10**15
    assert grant_sign_up_credits(newcomer.id, "p")


def test_a_refused_person_is_granted_when_verified_on_another_day(newcomer, monkeypatch):
    assert [grant_sign_up_credits(newcomer.id, person) for person in "pqr"][-1] is False
    tomorrow = datetime(2100, 1, 1, 12, tzinfo=ZoneInfo("UTC"))
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    assert grant_sign_up_credits(newcomer.id, "r")
    assert SignUpDay.objects.count() == 2


def test_the_operator_may_grant_what_the_ceiling_refused_once(newcomer, settings):
    settings.SIGN_UP_CREDITS_A_DAY = 0
    grant_sign_up_credits(newcomer.id, "p")
    assert grant_refused("p")
    assert not grant_refused("p")
    assert credits(newcomer) == 1000


def test_granting_what_was_refused_grants_nothing_while_there_is_nothing_to_grant(newcomer, settings):
    settings.SIGN_UP_CREDITS_A_DAY = 0
    grant_sign_up_credits(newcomer.id, "p")
    settings.SIGN_UP_CREDITS = 0
    assert not grant_refused("p")


def test_a_person_who_was_never_refused_cannot_be_granted():
    with pytest.raises(SignUpGrant.DoesNotExist):
        grant_refused("nobody")


def test_sign_up_credits_last_for_ever_unless_the_operator_says_how_long(newcomer, settings):
    settings.GRANTED_CREDITS_LAST_DAYS = 0
    grant_sign_up_credits(newcomer.id, "p")
    assert [lot.expires_at for lot in ledger.lots_of(newcomer.id)] == [None]


def test_sign_up_credits_are_gone_after_the_days_the_operator_set(newcomer, settings, monkeypatch):
    settings.GRANTED_CREDITS_LAST_DAYS = 30
    grant_sign_up_credits(newcomer.id, "p")
    expire_granted_credits()
    assert credits(newcomer) == 1000
    later = timezone.now() + timedelta(days=30)
    monkeypatch.setattr(timezone, "now", lambda: later)
    expire_granted_credits()
    assert credits(newcomer) == 0


def test_a_grant_that_was_refused_first_lasts_from_the_day_it_is_granted(newcomer, settings, monkeypatch):
    settings.GRANTED_CREDITS_LAST_DAYS, settings.SIGN_UP_CREDITS_A_DAY = 30, 0
    grant_sign_up_credits(newcomer.id, "p")
    later = timezone.now() + timedelta(days=29)
    monkeypatch.setattr(timezone, "now", lambda: later)
    grant_refused("p")
    assert [lot.expires_at for lot in ledger.lots_of(newcomer.id)] == [later + timedelta(days=30)]
