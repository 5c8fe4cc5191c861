import pytest

from accounts import captcha
from voice.admission.captcha_memory import PersonCheck, is_remembered, remember


def test_a_solved_captcha_is_remembered_for_its_network():
    cookie = remember("203.0.113.7")
    assert is_remembered(cookie, "203.0.113.7")
    assert not is_remembered(cookie, "203.0.113.8")


def test_an_ipv6_caller_may_change_address_within_the_network():
    cookie = remember("2001:db8:0:1::1")
    assert is_remembered(cookie, "2001:db8:0:1::2")
    assert not is_remembered(cookie, "2001:db8:0:2::1")


def test_it_is_forgotten_after_a_while(settings):
    cookie = remember("203.0.113.7")
    settings.CAPTCHA_REMEMBERED_S = -1
    assert not is_remembered(cookie, "203.0.113.7")


@pytest.mark.parametrize("forged", ["x", "a:b:c", "\ud800"])
def test_a_forged_cookie_remembers_nothing(forged):
    assert not is_remembered(forged, "203.0.113.7")


def test_what_is_remembered_uses_no_solution_up(monkeypatch):
    monkeypatch.setattr(captcha, "verify", lambda *_: pytest.fail("the CAPTCHA was asked"))
    check = PersonCheck(payload="right", cookie=remember("203.0.113.7"), client_ip="203.0.113.7")
    check.require()
    assert not check.newly_solved
