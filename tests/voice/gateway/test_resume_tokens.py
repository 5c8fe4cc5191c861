"""A resume token says by itself that it is ours, whose call it is and for which page."""

from uuid import uuid4

import pytest

from voice.gateway.resume_tokens import new_token, read_token

PAGE = "https://shop.example"


def test_a_token_is_read_as_it_was_made():
    token = new_token(uuid4(), PAGE)
    assert read_token(token.text) == token
    assert token.is_of(PAGE) and not token.is_of("https://evil.example")


def test_two_tokens_of_a_call_have_nothing_secret_in_common():
    session_id = uuid4()
    assert new_token(session_id, PAGE).secret != new_token(session_id, PAGE).secret


def test_its_secret_is_not_shown_by_accident():
    token = new_token(uuid4(), PAGE)
    assert str(token.secret) not in repr(token)


def test_no_character_of_it_can_be_changed():
    text = new_token(uuid4(), PAGE).text
    for place in range(len(text) - 1):
        assert read_token(text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "A", "A" * 43, "A" * 128, "!" * 128, "é" * 128, "A" * 4096])
def test_anything_else_is_none(text):
    assert read_token(text) is None


def test_another_installations_token_is_none(settings):
    text = new_token(uuid4(), PAGE).text
    settings.SECRET_KEY = "another one, that is long enough"
    assert read_token(text) is None
