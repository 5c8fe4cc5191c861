import base64
import json
import time
from types import SimpleNamespace
from urllib.error import URLError

import altcha
import pytest
from django.core.cache import cache

from accounts import captcha
from accounts.captcha import CaptchaFailed, CaptchaReused, CaptchaUnavailable


def changed(payload, change):
    body = json.loads(base64.b64decode(payload))
    change(body)
    return base64.b64encode(json.dumps(body).encode()).decode()


def test_a_solved_challenge_is_accepted(solve):
    captcha.verify(solve(), "203.0.113.9")


def test_a_solution_is_good_once(solve):
    payload = solve()
    captcha.verify(payload, "203.0.113.9")
    with pytest.raises(CaptchaReused):
        captcha.verify(payload, "203.0.113.9")


def test_another_spelling_of_a_used_solution_is_still_used(solve):
    payload = solve()
    captcha.verify(payload, "203.0.113.9")
    with pytest.raises(CaptchaReused):
        captcha.verify(changed(payload, lambda body: body.update(extra=1)), "203.0.113.9")


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["challenge"]["parameters"].update(cost=1, keyPrefix="0"),
        lambda body: body["challenge"]["parameters"].update(expiresAt=int(time.time()) + 10**6),
        lambda body: body["challenge"]["parameters"].update(expiresAt=None),
        lambda body: body["challenge"].update(signature=None),
        lambda body: body["challenge"].update(signature="é"),
        lambda body: body["solution"].update(counter=-1),
        lambda body: body["solution"].update(counter="1"),
        lambda body: body["solution"].update(derivedKey=7),
        lambda body: body["solution"].update(derivedKey="00"),
        lambda body: body.update(challenge=[]),
        lambda body: body.update(solution="x"),
        lambda body: body.pop("solution"),
    ],
)
def test_a_forged_solution_is_refused(solve, change):
    with pytest.raises(CaptchaFailed):
        captcha.verify(changed(solve(), change), "203.0.113.9")


@pytest.mark.parametrize("payload", ["", "x", "é", "e30=", "W10=", "bnVsbA==", "[" * 5000, "A" * 9000])
def test_what_is_no_payload_is_refused(payload):
    with pytest.raises(CaptchaFailed):
        captcha.verify(payload, "203.0.113.9")


def test_an_expired_challenge_is_refused(monkeypatch, solve):
    monkeypatch.setattr(captcha, "CHALLENGE_LIFETIME_S", -5)
    with pytest.raises(CaptchaFailed):
        captcha.verify(solve(), "203.0.113.9")


def test_a_challenge_of_another_server_is_refused(settings, solve):
    payload = solve()
    settings.SECRET_KEY = "another server's key"
    with pytest.raises(CaptchaFailed):
        captcha.verify(payload, "203.0.113.9")


def test_a_refused_solution_is_not_used_up(solve):
    payload = solve()
    with pytest.raises(CaptchaFailed):
        captcha.verify(changed(payload, lambda body: body["solution"].update(counter=0)), "203.0.113.9")
    captcha.verify(payload, "203.0.113.9")


def test_a_used_solution_is_remembered_for_as_long_as_it_could_be_used(solve, monkeypatch):
    asked = []
    monkeypatch.setattr(cache, "add", lambda key, value, timeout: asked.append(timeout) or True, raising=False)
    captcha.verify(solve(), "203.0.113.9")
    assert asked[0] >= captcha.CHALLENGE_LIFETIME_S


def test_the_work_is_bounded(monkeypatch):
    monkeypatch.undo()
    made = altcha.Challenge.from_dict(captcha.challenge())
    assert made.parameters.cost == 5000
    assert altcha.solve_challenge(made).counter < 400


@pytest.fixture
def google(settings, monkeypatch):
    """Google's answer, set by the test; an exception is raised instead."""
    settings.CAPTCHA = "recaptcha"
    settings.RECAPTCHA_PRIVATE_KEY = "private"
    from django_recaptcha import client

    fake = SimpleNamespace(answer=None, asked=None)

    def submit(response, private_key, remote_ip):
        fake.asked = (response, private_key, remote_ip)
        if isinstance(fake.answer, Exception):
            raise fake.answer
        return client.RecaptchaResponse(**fake.answer)

    monkeypatch.setattr(client, "submit", submit)
    return fake


def test_google_is_asked_with_the_callers_address(google):
    google.answer = {"is_valid": True}
    captcha.verify("token", "203.0.113.9")
    assert google.asked == ("token", "private", "203.0.113.9")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"is_valid": False}, CaptchaFailed),
        ({"is_valid": False, "error_codes": ["invalid-input-response"]}, CaptchaFailed),
        ({"is_valid": False, "error_codes": ["timeout-or-duplicate"]}, CaptchaReused),
        ({"is_valid": False, "error_codes": ["invalid-input-secret"]}, CaptchaUnavailable),
        ({"is_valid": False, "error_codes": ["bad-request"]}, CaptchaUnavailable),
        ({"is_valid": "yes"}, CaptchaFailed),
        (URLError("no route"), CaptchaUnavailable),
        (TimeoutError(), CaptchaUnavailable),
        (json.JSONDecodeError("x", "y", 0), CaptchaUnavailable),
        (KeyError("success"), CaptchaUnavailable),
    ],
)
def test_anything_but_googles_yes_is_a_no(google, answer, error):
    google.answer = answer
    with pytest.raises(error):
        captcha.verify("token", "203.0.113.9")
