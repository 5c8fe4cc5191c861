"""Nothing that came from a person is written to a log."""

from config.logging import drop_personal, mask_secret_paths


def test_values_under_a_personal_key_are_dropped():
    event = {"event": "mail refused", "pii_address": "sarah@example.com", "caller_pii": "x", "status": 5}
    assert drop_personal(None, "info", event) == {"event": "mail refused", "status": 5}


def test_a_key_that_only_contains_the_letters_is_kept():
    assert drop_personal(None, "info", {"spiid": 1}) == {"spiid": 1}


def test_the_secret_of_a_mailed_address_is_cut_out_of_what_is_logged():
    masked = mask_secret_paths(
        None, "warning", {"event": "Gone: /invitations/OXbt-9_x/ and /accounts/confirm-email/Mg:1x/"}
    )
    assert masked["event"] == "Gone: /invitations/…/ and /accounts/confirm-email/…/"
