import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from accounts.models import Invitation, Membership, Role, User
from tests.factories import PASSWORD, add_member, make_organisation, make_user

pytestmark = pytest.mark.django_db
MEMBERS_PAGES = ["/console/members/", "/console/account/"]
ADMINS_PAGES = ["/console/organisation/"]


@pytest.mark.parametrize("path", MEMBERS_PAGES + ADMINS_PAGES)
def test_alice_sees_every_page(cast, client, path):
    client.force_login(cast.alice)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", MEMBERS_PAGES)
def test_bob_sees_the_members_pages(cast, client, path):
    client.force_login(cast.bob)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ADMINS_PAGES)
def test_bob_does_not_see_the_admins_pages(cast, client, path):
    client.force_login(cast.bob)
    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", MEMBERS_PAGES + ADMINS_PAGES + ["/console/account/delete/"])
def test_a_visitor_is_asked_to_log_in(client, path):
    assert client.get(path).url == f"/accounts/login/?next={path}"


def test_mallory_sees_only_her_own_members(cast, client):
    client.force_login(cast.mallory)
    page = client.get("/console/members/").content.decode()
    assert "mallory@example.com" in page and "alice@example.com" not in page


@pytest.mark.parametrize("action", ["role", "remove"])
def test_mallory_cannot_touch_another_organisations_member(cast, client, action):
    bob = cast.bob.memberships.get()
    client.force_login(cast.mallory)
    response = client.post(f"/console/members/{bob.pk}/{action}/", {"role": "admin"})
    bob.refresh_from_db()
    assert response.status_code == 404 and bob.role == Role.MEMBER


def test_mallory_cannot_withdraw_another_organisations_invitation(cast, client):
    client.force_login(cast.alice)
    client.post("/console/members/invite/", {"email": "carol@example.com", "role": "member"})
    invitation = Invitation.objects.get()
    client.force_login(cast.mallory)
    assert client.post(f"/console/invitations/{invitation.pk}/withdraw/").status_code == 404
    assert Invitation.objects.exists()


def test_mallory_cannot_choose_an_organisation_that_is_not_hers(cast, client):
    client.force_login(cast.mallory)
    response = client.post("/console/organisation/choose/", {"organisation": str(cast.organisation.pk)})
    assert response.status_code == 404
    assert client.get("/console/").context["organisation"] == cast.other_organisation


@pytest.mark.parametrize("value", ["", "nonsense"])
def test_choosing_nonsense_changes_nothing(cast, client, value):
    client.force_login(cast.alice)
    assert client.post("/console/organisation/choose/", {"organisation": value}).url == "/console/"


def test_who_has_two_organisations_switches_between_them(cast, client):
    second = make_organisation("Second", cast.alice)
    client.force_login(cast.alice)
    client.post("/console/organisation/choose/", {"organisation": str(second.pk)})
    assert client.get("/console/").context["organisation"] == second


def test_bob_cannot_invite(cast, client):
    client.force_login(cast.bob)
    response = client.post("/console/members/invite/", {"email": "carol@example.com", "role": "member"})
    assert response.status_code == 403 and not mail.outbox


def test_an_invitation_goes_out_by_mail(cast, client):
    client.force_login(cast.alice)
    client.post("/console/members/invite/", {"email": "carol@example.com", "role": "member"})
    assert mail.outbox[0].to == ["carol@example.com"]
    assert "Alice invites you to join Rosewood Dental" in mail.outbox[0].body


@pytest.mark.parametrize("data", [{}, {"email": "nonsense", "role": "member"}, {"email": "a@b.co", "role": "emperor"}])
def test_a_wrong_invitation_is_sent_back_with_the_reason(cast, client, data):
    client.force_login(cast.alice)
    response = client.post("/console/members/invite/", data)
    assert response.status_code == 422 and response.context["form"].errors and not mail.outbox


def test_a_mail_that_cannot_be_sent_leaves_no_invitation(cast, client, monkeypatch):
    def fail(self, messages):
        raise ConnectionRefusedError

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    client.force_login(cast.alice)
    response = client.post("/console/members/invite/", {"email": "carol@example.com", "role": "member"})
    assert response.status_code == 503 and not Invitation.objects.exists()


def test_a_role_is_changed_on_the_page(cast, client):
    client.force_login(cast.alice)
    client.post(f"/console/members/{cast.bob.memberships.get().pk}/role/", {"role": "admin"})
    assert cast.bob.memberships.get().role == Role.ADMIN


@pytest.mark.parametrize("role", ["", "emperor", "owner"])
def test_an_admin_cannot_post_a_role_that_is_not_offered(cast, client, role):
    admin = make_user()
    add_member(cast.organisation, admin, Role.ADMIN)
    client.force_login(admin)
    client.post(f"/console/members/{cast.bob.memberships.get().pk}/role/", {"role": role})
    assert cast.bob.memberships.get().role == Role.MEMBER


def test_the_last_owner_is_told_why_they_cannot_leave(cast, client):
    client.force_login(cast.alice)
    pk = cast.alice.memberships.get().pk
    assert b"needs an owner" in client.post(f"/console/members/{pk}/remove/", follow=True).content


def test_who_was_removed_can_name_an_organisation_of_their_own(cast, client):
    Membership.objects.filter(user=cast.bob).delete()
    client.force_login(cast.bob)
    assert client.get("/console/").url == "/console/organisation/new/"
    client.post("/console/organisation/new/", {"name": "Bob & Sons", "country": "IN"})
    assert client.get("/console/").context["organisation"].name == "Bob & Sons"


def test_the_organisation_is_renamed(cast, client):
    client.force_login(cast.alice)
    client.post("/console/organisation/", {"name": "New name", "country": "US"})
    cast.organisation.refresh_from_db()
    assert (cast.organisation.name, cast.organisation.country) == ("New name", "US")


@pytest.mark.parametrize("data", [{"name": ""}, {"name": "x" * 121}, {"name": "ok", "country": "XX"}])
def test_a_wrong_name_or_country_is_refused(cast, client, data):
    client.force_login(cast.alice)
    assert client.post("/console/organisation/", data).status_code == 422


def test_a_suspended_organisation_is_told_so(cast, client):
    from accounts.organisations import suspend_organisation

    suspend_organisation(cast.organisation, "Unpaid invoice.", None)
    client.force_login(cast.alice)
    assert b"Unpaid invoice." in client.get("/console/members/").content


def test_deleting_an_account_asks_who_it_is_first(cast, client):
    client.force_login(cast.mallory)
    assert client.get("/console/account/delete/").url.startswith("/accounts/reauthenticate/")
    assert User.objects.filter(pk=cast.mallory.pk).exists()


def test_an_account_is_deleted_after_the_password(cast, client):
    client.force_login(cast.mallory)
    client.post("/accounts/reauthenticate/?next=/console/account/delete/", {"password": PASSWORD})
    assert b"cannot be undone" in client.get("/console/account/delete/").content
    client.post("/console/account/delete/")
    assert not User.objects.filter(email="mallory@example.com").exists()
    assert client.get("/console/").status_code == 302


def test_two_step_login_can_be_switched_on_and_is_then_asked_for(cast, client):
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time

    client.force_login(cast.alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    form = client.get("/accounts/2fa/totp/activate/").context["form"]
    code = format_hotp_value(hotp_value(form.secret, next(yield_hotp_counters_from_time())))
    client.post("/accounts/2fa/totp/activate/", {"code": code})
    assert client.get("/accounts/2fa/recovery-codes/").context["unused_codes"]
    client.logout()
    response = client.post("/accounts/login/", {"login": "alice@example.com", "password": PASSWORD})
    assert response.url == "/accounts/2fa/authenticate/"
    assert b"One more step" in client.get(response.url).content
