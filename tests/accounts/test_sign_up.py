import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail

from accounts.models import Membership, Organisation, Role, User
from accounts.organisations import organisation_of
from tests.factories import PASSWORD, balance_micro, make_user

pytestmark = pytest.mark.django_db
URL = "/accounts/signup/"


@pytest.fixture
def sign_up(client, solve):
    def post(email="maria.silva@example.com", **fields):
        data = {"email": email, "password1": PASSWORD, "organisation": "", "captcha": solve(), **fields}
        return client.post(URL, data)

    return post


def link_in(message):
    return re.search(r"http://testserver(/\S+)", message.body)[1]


def errors_of(response):
    return response.context["form"].errors.get_json_data()


def test_a_person_signs_up_verifies_and_finds_their_credits(client, sign_up):
    response = sign_up(organisation="Silva Plumbing")
    assert response.url == "/accounts/confirm-email/"
    organisation = organisation_of(User.objects.get())
    assert balance_micro(organisation.pk) == 0
    response = client.post(link_in(mail.outbox[0]))
    assert response.url == "/console/"
    assert organisation.name == "Silva Plumbing"
    assert balance_micro(organisation.pk) == 1000 * 1_000_000


def test_opening_the_link_alone_confirms_nothing(client, sign_up):
    sign_up()
    client.get(link_in(mail.outbox[0]))
    assert not EmailAddress.objects.get().verified


def test_nobody_gets_in_before_the_address_is_verified(client, sign_up):
    sign_up()
    client.post("/accounts/login/", {"login": "maria.silva@example.com", "password": PASSWORD})
    assert client.get("/console/").status_code == 302


def test_an_organisation_is_named_after_who_gave_no_name(sign_up):
    sign_up()
    assert Organisation.objects.get().name == "Maria Silva"
    assert Membership.objects.get().role == Role.OWNER


def test_a_second_address_brings_no_second_grant(client, sign_up):
    sign_up()
    client.post(link_in(mail.outbox[0]))
    user = User.objects.get()
    client.post("/accounts/email/", {"email": "other@example.com", "action_add": ""})
    client.post(link_in(mail.outbox[-1]))
    assert EmailAddress.objects.get(email="other@example.com").verified
    assert balance_micro(organisation_of(user).pk) == 1000 * 1_000_000


def test_a_known_address_is_answered_like_a_new_one(sign_up):
    make_user("maria.silva@example.com")
    response = sign_up()
    assert response.url == "/accounts/confirm-email/"
    assert User.objects.count() == 1
    assert mail.outbox[0].subject == "You already have a Parley account"


def test_a_wrong_captcha_is_told_and_makes_nobody(sign_up):
    response = sign_up(captcha="nonsense")
    assert errors_of(response)["__all__"][0]["code"] == "CaptchaFailed"
    assert not User.objects.exists()


def test_a_captcha_is_good_for_one_sign_up(sign_up, solve):
    payload = solve()
    sign_up("one@example.com", captcha=payload)
    response = sign_up("two@example.com", captcha=payload)
    assert errors_of(response)["__all__"][0]["code"] == "CaptchaReused"
    assert User.objects.count() == 1


def test_without_a_captcha_nothing_happens(sign_up):
    response = sign_up(captcha="")
    assert "captcha" in errors_of(response)


def test_a_form_that_is_sent_back_has_not_used_up_the_captcha(sign_up, solve):
    payload = solve()
    sign_up(captcha=payload, password1="short")
    assert sign_up(captcha=payload).status_code == 302


def test_throw_away_addresses_are_refused(sign_up):
    assert errors_of(sign_up("x@sub.mailinator.com"))["email"][0]["code"] == "disposable"


@pytest.mark.parametrize("password", ["short", "password1234", "maria.silva@example.com"])
def test_weak_passwords_are_refused(sign_up, password):
    assert "password1" in errors_of(sign_up(password1=password))


def test_a_network_has_a_limit_of_sign_ups(settings, sign_up):
    settings.SIGN_UPS_PER_IP = "2/h"
    sign_up("one@example.com")
    sign_up("two@example.com")
    response = sign_up("three@example.com")
    assert errors_of(response)["__all__"][0]["code"] == "rate_limited"
    assert User.objects.count() == 2


def test_links_in_mails_do_not_follow_the_host_header(client, settings, sign_up):
    settings.ALLOWED_HOSTS = ["*"]
    client.defaults["HTTP_HOST"] = "evil.example"
    sign_up()
    assert "evil.example" not in mail.outbox[0].body


def test_a_forgotten_password_is_replaced_through_the_mailed_link(client):
    make_user("maria@example.com")
    client.post("/accounts/password/reset/", {"email": "maria@example.com"})
    form = client.get(link_in(mail.outbox[0]), follow=True)
    new = "another good pass phrase"
    client.post(form.request["PATH_INFO"], {"password1": new, "password2": new})
    assert User.objects.get().check_password(new)


def test_an_unknown_address_is_answered_like_a_known_one(client):
    make_user("maria@example.com")
    known = client.post("/accounts/password/reset/", {"email": "maria@example.com"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert known.url == unknown.url
