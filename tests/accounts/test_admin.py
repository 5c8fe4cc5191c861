import pytest
from django.contrib.admin.models import LogEntry

from accounts.models import User
from accounts.organisations import suspend_organisation
from tests.factories import make_user

ORGANISATIONS = "/admin/accounts/organisation/"


@pytest.fixture
def operator(cast, client):
    user = make_user("op@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.mark.parametrize("page", ["user", "organisation", "membership", "invitation"])
def test_every_list_can_be_searched(operator, client, page):
    assert client.get(f"/admin/accounts/{page}/?q=alice").status_code == 200


@pytest.mark.parametrize("page", ["user/add/", "organisation/add/", "membership/add/"])
def test_every_form_opens(operator, client, page):
    assert client.get(f"/admin/accounts/{page}").status_code == 200


def test_every_person_and_organisation_opens(operator, client, cast):
    assert client.get(f"/admin/accounts/user/{cast.alice.pk}/change/").status_code == 200
    assert client.get(f"{ORGANISATIONS}{cast.organisation.pk}/change/").status_code == 200


def press(client, organisation, action, **data):
    return client.post(ORGANISATIONS, {"action": action, "_selected_action": str(organisation.pk), **data})


def test_suspending_asks_for_a_reason_first(operator, client, cast):
    response = press(client, cast.organisation, "suspend")
    cast.organisation.refresh_from_db()
    assert b'name="reason"' in response.content and cast.organisation.is_active


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_a_reason_that_is_none_suspends_nobody(operator, client, cast, reason):
    press(client, cast.organisation, "suspend", reason=reason)
    cast.organisation.refresh_from_db()
    assert cast.organisation.is_active


def test_a_suspension_is_kept_with_its_reason(operator, client, cast):
    press(client, cast.organisation, "suspend", reason="Abuse")
    cast.organisation.refresh_from_db()
    assert cast.organisation.suspended_reason == "Abuse"
    assert LogEntry.objects.get().change_message == "Suspend: Abuse"


def test_an_organisation_is_resumed_with_a_reason(operator, client, cast):
    suspend_organisation(cast.organisation, "Abuse", None)
    press(client, cast.organisation, "resume", reason="Sorted out")
    cast.organisation.refresh_from_db()
    assert cast.organisation.is_active
    assert LogEntry.objects.get().change_message == "Resume: Sorted out"


def test_nobody_deletes_an_organisation_or_edits_an_invitation(operator, client, cast):
    assert client.get(f"{ORGANISATIONS}{cast.organisation.pk}/delete/").status_code == 403
    assert client.get("/admin/accounts/invitation/add/").status_code == 403


def test_deleting_a_person_closes_what_only_they_belonged_to(operator, client, cast):
    client.post(f"/admin/accounts/user/{cast.mallory.pk}/delete/", {"post": "yes"})
    cast.other_organisation.refresh_from_db()
    assert not User.objects.filter(pk=cast.mallory.pk).exists() and not cast.other_organisation.is_active


def test_a_person_whom_others_need_is_not_deleted(operator, client, cast):
    page = f"/admin/accounts/user/{cast.alice.pk}/delete/"
    assert client.post(page, {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": str(cast.alice.pk), "post": "yes"}
    client.post("/admin/accounts/user/", chosen)
    assert User.objects.filter(pk=cast.alice.pk).exists()


def test_mallory_is_no_operator(cast, client):
    client.force_login(cast.mallory)
    assert client.get(ORGANISATIONS).status_code in (302, 403)


def test_the_admins_door_is_the_same_login_as_everybodys(client, db):
    assert client.get("/admin/login/?next=/admin/").url.startswith("/accounts/login/")
