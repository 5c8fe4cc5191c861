"""Secrets at rest can be read with the right keys only, and keys can be changed."""

import pytest
from django.db import connection

from config.encrypted_field import EncryptedTextField
from config.encryption import NotDecryptable, decrypt, encrypt

OLD, NEW = "an old key that is long enough to be one", "a new key that is also long enough to be one"


def test_what_was_encrypted_is_read_back():
    assert decrypt(encrypt("whsec_पहला")) == "whsec_पहला"


def test_the_secret_is_not_in_what_is_stored():
    assert "whsec" not in encrypt("whsec_abc")


def test_the_same_text_is_stored_differently_each_time():
    assert encrypt("same") != encrypt("same")


def test_a_changed_token_is_refused():
    token = encrypt("text")
    other = "A" if token[20] != "A" else "B"
    with pytest.raises(NotDecryptable):
        decrypt(token[:20] + other + token[21:])


@pytest.mark.parametrize("token", ["", "plain text", "gAAAA", "ключ"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(NotDecryptable):
        decrypt(token)


def test_an_older_key_still_reads(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    token = encrypt("text")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert decrypt(token) == "text"


def test_the_newest_key_writes(settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    token = encrypt("text")
    settings.ENCRYPTION_KEYS = [OLD]
    with pytest.raises(NotDecryptable):
        decrypt(token)


def test_without_keys_it_follows_the_secret_key(settings):
    settings.ENCRYPTION_KEYS = []
    settings.SECRET_KEY = OLD
    token = encrypt("text")
    settings.SECRET_KEY = NEW
    with pytest.raises(NotDecryptable):
        decrypt(token)


def test_a_first_key_of_ones_own_can_follow_the_secret_key(settings):
    settings.ENCRYPTION_KEYS = []
    settings.SECRET_KEY = OLD
    token = encrypt("text")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert decrypt(token) == "text"


def test_a_field_is_encrypted_in_its_column_and_plain_in_python():
    field = EncryptedTextField()
    stored = field.get_prep_value("Bearer abc")
    assert "Bearer" not in stored
    assert field.from_db_value(stored, None, connection) == "Bearer abc"


@pytest.mark.parametrize("nothing", ["", None])
def test_an_empty_field_stays_empty(nothing):
    field = EncryptedTextField()
    assert field.get_prep_value(nothing) == nothing
    assert field.from_db_value(nothing, None, connection) == nothing
