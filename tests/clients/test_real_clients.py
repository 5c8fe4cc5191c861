"""The clients that customers really use, on the embedded models: they talk, call tools, interrupt, are told why not."""

import json
from uuid import UUID

import pytest

from tests.clients.clients import NAMES, event_of

OPENING_HOURS = "nine to five on weekdays"
TOLD_BY_TOOL = "Friday at nine is free"


def test_the_caller_is_heard_and_answered(talk):
    _, report = talk
    assert any(OPENING_HOURS in answer for answer in report.answers)
    assert report.errors == []


def test_a_tool_is_called_and_its_result_told(talk):
    _, report = talk
    assert report.tools == ["find_free_times"]
    assert any(TOLD_BY_TOOL in answer for answer in report.answers)


def test_the_caller_can_interrupt(talk):
    _, report = talk
    assert report.interrupted
    # What was said over it is answered in its turn.
    assert OPENING_HOURS in report.answers[-1]


def test_the_usage_a_client_sees_is_what_was_billed(talk, site):
    name, report = talk
    session = site.settled_session(name)
    used = [json.loads(row["usage"]) for row in usage_of(site, session, "response")]
    assert report.input_tokens == sum(usage["input_tokens"] for usage in used) > 0
    assert report.output_tokens == sum(usage["output_tokens"] for usage in used) > 0


def test_what_was_billed_is_one_entry_that_the_hold_covered(talk, site):
    name, _ = talk
    session = site.settled_session(name)
    records = usage_of(site, session, "response") + usage_of(site, session, "transcription")
    reference = f"voice_session:{UUID(session['id'])}"
    entries = site.rows("SELECT amount_micro FROM billing_entry WHERE reference = ? AND kind = 'usage'", reference)
    assert [entry["amount_micro"] for entry in entries] == [-session["captured_micro"]]
    assert session["captured_micro"] == sum(record["amount_micro"] for record in records) > 0
    assert session["uncollected_micro"] == 0


@pytest.fixture(scope="session")
def with_a_wrong_key(programs):
    return programs.run_all("refused", dict.fromkeys(NAMES, "sk_parley_wrong000_" + "x" * 43))


@pytest.fixture(scope="session")
def with_an_empty_wallet(programs, site, poor):
    keys = site.keys(poor, [f"{name} without credits" for name in NAMES])
    return programs.run_all("refused", {name: keys[f"{name} without credits"] for name in NAMES})


@pytest.fixture(scope="session")
def with_a_revoked_key(programs, site, rich):
    """Every client in a session of its own while its key is revoked."""
    keys = site.keys(rich, [f"{name} revoked" for name in NAMES])
    running = {name: programs.start(name, "revoked", keys[f"{name} revoked"]) for name in NAMES}
    for name, process in running.items():
        assert event_of(process) == {"open": True}, name
    site.revoke(keys.values())
    return {name: programs.finish(name, "revoked", process) for name, process in running.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_key_is_refused_at_the_door(with_a_wrong_key, name):
    # All a client can be told under Daphne, which answers every refused handshake so.
    assert with_a_wrong_key[name].errors[0] == "HTTP 403"


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_wallet_is_told_in_the_words_that_stop_a_client(with_an_empty_wallet, name):
    assert with_an_empty_wallet[name].errors[0] == "insufficient_quota"


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_is_revoked_ends_its_live_sessions(with_a_revoked_key, site, name):
    assert with_a_revoked_key[name].errors[0] == "invalid_api_key"
    assert site.settled_session(f"{name} revoked")["end_reason"] == "api_key_revoked"


def usage_of(site, session, source):
    query = "SELECT usage, amount_micro FROM voice_usagerecord WHERE session_id = ? AND source = ?"
    return site.rows(query, session["id"], source)
