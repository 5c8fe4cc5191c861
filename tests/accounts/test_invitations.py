from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.utils import timezone

from accounts import invitations
from accounts.exceptions import InvitationRefused, NotAllowed
from accounts.models import Invitation, Membership, Role, User
from tests.factories import PASSWORD, add_member, balance_micro, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(cast):
    return cast.alice.memberships.get()


def refusal_of(function, *args):
    with pytest.raises(InvitationRefused) as caught:
        function(*args)
    return caught.value.code


def test_the_secret_is_not_stored(alice):
    invitation, secret = invitations.invite(alice, "new@example.com", Role.MEMBER)
    assert secret not in str(Invitation.objects.filter(pk=invitation.pk).values())


def test_the_invited_person_becomes_a_member(cast, alice):
    carol = make_user("carol@example.com")
    _, secret = invitations.invite(alice, "Carol@Example.com", Role.ADMIN)
    assert invitations.accept(secret, carol).role == Role.ADMIN


def test_an_invitation_is_accepted_once(cast, alice):
    _, secret = invitations.invite(alice, "carol@example.com", Role.MEMBER)
    carol = make_user("carol@example.com")
    invitations.accept(secret, carol)
    assert refusal_of(invitations.accept, secret, carol) == "used"


def test_another_person_cannot_accept_it(cast, alice):
    _, secret = invitations.invite(alice, "carol@example.com", Role.MEMBER)
    assert refusal_of(invitations.accept, secret, cast.mallory) == "other_address"


def test_an_address_that_was_not_proved_cannot_accept(cast, alice):
    _, secret = invitations.invite(alice, "carol@example.com", Role.MEMBER)
    EmailAddress.objects.create(user=cast.mallory, email="carol@example.com", verified=False)
    assert refusal_of(invitations.accept, secret, cast.mallory) == "other_address"


def test_after_seven_days_it_is_too_late(alice):
    invitation, secret = invitations.invite(alice, "carol@example.com", Role.MEMBER)
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refusal_of(invitations.open_invitation, secret) == "expired"
    assert invitation.expires_at - invitation.created_at > timedelta(days=6, hours=23)


def test_a_withdrawn_invitation_is_unknown(alice):
    invitation, secret = invitations.invite(alice, "carol@example.com", Role.MEMBER)
    invitations.withdraw(invitation, alice)
    assert refusal_of(invitations.open_invitation, secret) == "unknown"


def test_inviting_again_ends_the_first_invitation(alice):
    _, first = invitations.invite(alice, "carol@example.com", Role.MEMBER)
    invitations.invite(alice, "carol@example.com", Role.MEMBER)
    assert refusal_of(invitations.open_invitation, first) == "unknown"


def test_a_member_may_not_invite(cast):
    with pytest.raises(NotAllowed):
        invitations.invite(cast.bob.memberships.get(), "carol@example.com", Role.MEMBER)


def test_an_admin_may_not_invite_an_owner(cast):
    admin = add_member(cast.organisation, make_user(), Role.ADMIN)
    with pytest.raises(NotAllowed):
        invitations.invite(admin, "carol@example.com", Role.OWNER)


def test_a_member_is_not_invited_again(alice):
    assert refusal_of(invitations.invite, alice, "BOB@example.com", Role.MEMBER) == "already_member"


def test_open_invitations_are_bounded(monkeypatch, alice):
    monkeypatch.setattr(invitations, "MOST_OPEN", 2)
    for name in ("a", "b"):
        invitations.invite(alice, f"{name}@example.com", Role.MEMBER)
    assert refusal_of(invitations.invite, alice, "c@example.com", Role.MEMBER) == "too_many"


def test_somebody_new_signs_up_through_the_mailed_link(cast, client, solve):
    client.force_login(cast.alice)
    client.post("/console/members/invite/", {"email": "carol@example.com", "role": "admin"})
    client.logout()
    path = mail.outbox[0].body.split("http://testserver")[1].split()[0]
    assert b"Create an account and join" in client.get(path).content
    client.post("/accounts/signup/", {"email": "mallory2@example.com", "password1": PASSWORD, "captcha": solve()})
    carol = User.objects.get(email="carol@example.com")
    membership = Membership.objects.get(user=carol)
    assert (membership.organisation, membership.role) == (cast.organisation, Role.ADMIN)
    assert client.get("/console/").status_code == 200


def test_an_invited_person_brings_no_credits_to_who_invited_them(cast, client, alice, solve):
    _, secret = invitations.invite(alice, "carol@example.com", Role.MEMBER)
    client.get(f"/invitations/{secret}/")
    client.post("/accounts/signup/", {"password1": PASSWORD, "captcha": solve()})
    assert balance_micro(cast.organisation.pk) == 1000 * 1_000_000


def test_a_person_with_an_account_accepts_on_the_page_and_then_acts_for_it(cast, client, alice):
    _, secret = invitations.invite(alice, "mallory@example.com", Role.MEMBER)
    client.force_login(cast.mallory)
    assert b"Accept the invitation" in client.get(f"/invitations/{secret}/").content
    client.post(f"/invitations/{secret}/accept/")
    assert client.get("/console/").context["organisation"] == cast.organisation


def test_mallory_cannot_accept_an_invitation_that_she_found(cast, client, alice):
    _, secret = invitations.invite(alice, "carol@example.com", Role.OWNER)
    client.force_login(cast.mallory)
    assert client.post(f"/invitations/{secret}/accept/").status_code == 410
    assert not Membership.objects.filter(user=cast.mallory, organisation=cast.organisation).exists()


@pytest.mark.parametrize("secret", ["nonsense", "x" * 2000, "é"])
def test_a_made_up_link_is_refused_in_words(client, secret):
    response = client.get(f"/invitations/{secret}/")
    assert response.status_code == 410 and b"does not exist" in response.content
