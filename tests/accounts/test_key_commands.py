import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.api_keys import authenticate
from accounts.exceptions import KeyRefused
from accounts.models import ApiKey, Organisation
from billing import ledger


def run(*words):
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue()


@pytest.fixture
def acme(db):
    run("create_organisation", "--name", "Acme", "--slug", "acme")
    return Organisation.objects.get(slug="acme")


def test_an_organisation_is_made_with_an_empty_wallet(acme):
    assert acme.name == "Acme"
    assert ledger.balance_of(acme.pk).balance_micro == 0


def test_a_slug_is_given_once(acme):
    with pytest.raises(CommandError, match="already"):
        run("create_organisation", "--name", "Another", "--slug", "acme")


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "slug"), [("", "a"), ("a\nb", "a"), ("x" * 121, "a"), ("A", "a b"), ("A", "a" * 61)])
def test_an_organisation_needs_a_name_and_a_slug(name, slug):
    with pytest.raises(CommandError):
        run("create_organisation", "--name", name, "--slug", slug)
    assert not Organisation.objects.exists()


def test_a_key_is_printed_alone_on_its_line(acme):
    printed = run("create_api_key", "--organisation", "acme", "--name", "Script")
    assert re.fullmatch(r"sk_parley_\w+\n", printed)
    assert authenticate(printed.strip()).organisation == acme


def test_a_key_may_be_made_by_the_organisations_id(acme):
    assert authenticate(run("create_api_key", "--organisation", str(acme.pk), "--name", "Script").strip())


def test_a_key_can_be_limited(acme):
    run(
        "create_api_key", "--organisation", "acme", "--name", "Small", "--scope", "chat", "--model", "gpt-4.1",
        "--monthly-credits", "12.5", "--requests-per-minute", "10", "--concurrent-calls", "2", "--days", "30",
    )  # fmt: skip
    key = ApiKey.objects.get()
    assert (key.scopes, key.allowed_models, key.monthly_budget_micro) == (["chat"], ["gpt-4.1"], 12_500_000)
    assert (key.requests_per_minute, key.concurrent_calls) == (10, 2)
    assert key.expires_at is not None


@pytest.mark.parametrize("amount", ["many", "NaN", "Infinity", "0.0000001", "-1"])
def test_a_budget_is_an_amount_of_credits(acme, amount):
    with pytest.raises(CommandError):
        run("create_api_key", "--organisation", "acme", "--name", "Small", f"--monthly-credits={amount}")


@pytest.mark.django_db
def test_nobody_is_given_a_key_for_an_organisation_that_is_not():
    with pytest.raises(CommandError, match="no organisation"):
        run("create_api_key", "--organisation", "acme", "--name", "Script")


def test_a_key_is_revoked_by_its_prefix(acme):
    text = run("create_api_key", "--organisation", "acme", "--name", "Script").strip()
    prefix = text.rpartition("_")[0]
    assert "is revoked" in run("revoke_api_key", prefix)
    with pytest.raises(KeyRefused):
        authenticate(text)
    assert "was revoked before" in run("revoke_api_key", prefix)


@pytest.mark.django_db
def test_a_prefix_that_is_none_revokes_nothing():
    with pytest.raises(CommandError, match="no key"):
        run("revoke_api_key", "sk_parley_nothing0")
