import uuid

import pytest

from voice.admission.origins import is_ours, may_connect, normalised


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://Shop.Example", "https://shop.example"),
        ("https://shop.example:443/", "https://shop.example"),
        ("http://shop.example:8080", "http://shop.example:8080"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://shop.example/page", ""),
        ("https://shop.example?x", ""),
        ("ftp://shop.example", ""),
        ("shop.example", ""),
        ("null", ""),
        ("", ""),
        ("http://shop.example:99999", ""),
        ("http://[::1", ""),
        ("https://" + "x" * 400, ""),
    ],
)
def test_origins_are_compared_in_one_form(origin, expected):
    assert normalised(origin) == expected


def test_the_public_address_is_ours_behind_a_proxy_too(settings):
    settings.PUBLIC_URL = "https://parley.example"
    assert is_ours("https://parley.example", scheme="http", host="10.0.0.5:8000")


def test_a_socket_may_be_opened_from_our_page_and_from_listed_ones(open_session, agent):
    agent.allowed_origins = ["https://shop.example"]
    agent.save()
    session = open_session(state="admitted")
    assert may_connect(session.id, "http://testserver", "testserver")
    assert may_connect(session.id, "https://shop.example", "testserver")
    assert not may_connect(session.id, "https://evil.example", "testserver")
    assert not may_connect(session.id, "", "testserver")


def test_a_session_that_does_not_exist_allows_nobody_else(db):
    assert not may_connect(uuid.uuid4(), "https://evil.example", "testserver")
