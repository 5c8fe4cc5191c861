"""Nothing that came from a person is written to a log."""

from config.logging import drop_personal


def test_values_under_a_personal_key_are_dropped():
    event = {"event": "mail refused", "pii_address": "sarah@example.com", "caller_pii": "x", "status": 5}
    assert drop_personal(None, "info", event) == {"event": "mail refused", "status": 5}


def test_a_key_that_only_contains_the_letters_is_kept():
    assert drop_personal(None, "info", {"spiid": 1}) == {"spiid": 1}
