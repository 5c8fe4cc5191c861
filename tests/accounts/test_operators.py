import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command

from accounts.management.commands import make_operator
from accounts.models import User
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def password(monkeypatch):
    monkeypatch.setenv("PARLEY_OPERATOR_PASSWORD", PASSWORD)


def test_the_first_operator_can_log_in_to_the_admin(client, password):
    call_command("make_operator", "Op@Example.com")
    client.post("/accounts/login/", {"login": "op@example.com", "password": PASSWORD})
    assert client.get("/admin/").status_code == 200
    assert EmailAddress.objects.get().verified


def test_somebody_who_is_there_is_promoted(password):
    user = make_user("op@example.com", verified=False, is_active=False)
    call_command("make_operator", "op@example.com")
    user.refresh_from_db()
    assert user.is_superuser and user.is_staff and user.is_active
    assert EmailAddress.objects.get().verified


@pytest.mark.parametrize("weak", ["short", "password123", "op@example.com"])
def test_a_weak_password_makes_nobody(monkeypatch, weak):
    monkeypatch.setenv("PARLEY_OPERATOR_PASSWORD", weak)
    with pytest.raises(CommandError):
        call_command("make_operator", "op@example.com")
    assert not User.objects.exists()


def test_what_is_no_address_is_refused(password):
    with pytest.raises(CommandError):
        call_command("make_operator", "nonsense")


def test_a_password_typed_two_ways_is_refused(monkeypatch):
    monkeypatch.delenv("PARLEY_OPERATOR_PASSWORD", raising=False)
    typed = iter(["one good pass phrase", "another good one"])
    monkeypatch.setattr(make_operator, "getpass", lambda prompt: next(typed))
    with pytest.raises(CommandError, match="differ"):
        call_command("make_operator", "op@example.com")


def test_a_password_is_asked_for(monkeypatch):
    monkeypatch.delenv("PARLEY_OPERATOR_PASSWORD", raising=False)
    monkeypatch.setattr(make_operator, "getpass", lambda prompt: PASSWORD)
    call_command("make_operator", "op@example.com")
    assert User.objects.get().check_password(PASSWORD)
