from decimal import Decimal

import pytest

from tests.factories import make_agent, make_session, make_turn, make_usage
from voice.models import EndReason, Outcome
from voice.models.session import SessionState
from voice.views import calls as calls_view
from voice.views.receipt import receipt_of


@pytest.fixture
def bob(client, cast):
    client.force_login(cast.bob)
    return cast.bob


def listed(response):
    return [session.pk for session in response.context["page"].object_list]


def test_without_calls_the_page_says_what_will_be_here(client, bob):
    assert b"No calls yet" in client.get("/console/calls/").content


def test_calls_are_narrowed_by_agent_outcome_and_reason(client, bob, cast, agent):
    other = make_agent(cast.organisation, name="Other")
    cut = make_session(agent, outcome=Outcome.CUT, end_reason=EndReason.OUT_OF_CREDIT)
    done = make_session(other)
    assert listed(client.get(f"/console/calls/?agent={other.pk}")) == [done.pk]
    assert listed(client.get("/console/calls/?outcome=cut")) == [cut.pk]
    assert listed(client.get("/console/calls/?end_reason=out_of_credit")) == [cut.pk]
    assert b"No call fits" in client.get(f"/console/calls/?agent={other.pk}&outcome=cut").content


@pytest.mark.parametrize("query", ["agent=nonsense", "outcome=x", "end_reason=x", "page=999", "page=x", "page=-1"])
def test_a_filter_that_means_nothing_narrows_nothing(client, bob, agent, query):
    session = make_session(agent)
    assert listed(client.get(f"/console/calls/?{query}")) == [session.pk]


def test_long_lists_come_in_pages_that_keep_the_filter(client, bob, agent, monkeypatch):
    monkeypatch.setattr(calls_view, "_CALLS_A_PAGE", 2)
    for _ in range(3):
        make_session(agent, outcome=Outcome.CUT)
    first = client.get("/console/calls/?outcome=cut")
    assert len(listed(first)) == 2 and b"?outcome=cut&amp;page=2" in first.content
    assert len(listed(client.get("/console/calls/?outcome=cut&page=2"))) == 1


def test_a_call_shows_its_turns_and_how_fast_each_was_answered(client, bob, agent):
    session = make_session(agent)
    make_turn(session, 0, "agent", latency_ms=1640, interrupted=True, heard_ms=900)
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "1,640 ms" in page and "Interrupted after 0.9 s" in page


def test_a_call_shows_which_model_answered_and_why(client, bob, agent):
    session = make_session(agent, model_served="parley-local", model_reason="It is under maintenance.")
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "parley-local, asked for gpt-realtime-mini" in page and "It is under maintenance." in page


def test_the_lines_of_a_receipt_add_up_to_its_total(agent, cast):
    session = make_session(agent)
    make_usage(session, ("audio_in", 100, 1_500_000_000, 150_000), ("audio_out", 7, 3_000_000_000, 21_001))
    make_usage(session, ("audio_in", 50, 1_500_000_000, 75_000))
    make_usage(session, ("seconds", 3, 4, 12), source="transcription", captured_micro=5, uncollected_micro=7)
    receipt = receipt_of(session.usage_records.all())
    assert [(line.kind, line.quantity, line.amount_micro) for line in receipt.lines] == [
        ("audio_in", 150, 225_000),
        ("audio_out", 7, 21_001),
        ("seconds", 3, 12),
    ]
    assert sum(line.amount_micro for line in receipt.lines) == receipt.amount_micro == 246_013
    assert receipt.captured_micro + receipt.uncollected_micro == receipt.amount_micro


def test_usage_at_another_rate_is_a_line_of_its_own(agent):
    session = make_session(agent)
    make_usage(session, ("audio_in", 1, 100, 1))
    make_usage(session, ("audio_in", 1, 200, 2))
    assert len(receipt_of(session.usage_records.all()).lines) == 2


def test_the_page_shows_the_receipt_to_the_micro_credit(client, bob, agent):
    session = make_session(agent)
    make_usage(session, ("audio_out", 7, 3_000_000_000, 21_001), is_estimated=True)
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert str(Decimal(21_001) / 10**6) in page and "estimated" in page


def test_a_call_that_used_nothing_says_so(client, bob, agent):
    session = make_session(agent, state=SessionState.LIVE, end_reason="", outcome="")
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "Nothing was used" in page and "Not over yet" in page and "Live now" in page


def test_a_call_outlives_its_agent(client, bob, agent):
    session = make_session(agent)
    agent.delete()
    assert b"deleted agent" in client.get(f"/console/calls/{session.pk}/").content
    assert b"Deleted agent" in client.get("/console/calls/").content


def test_a_callers_comment_is_escaped(client, bob, agent):
    session = make_session(agent, stars=2, comment="<script>alert(1)</script>\nbad")
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;" in page


def test_for_mallory_the_call_does_not_exist(client, cast, agent):
    session = make_session(agent)
    client.force_login(cast.mallory)
    assert client.get(f"/console/calls/{session.pk}/").status_code == 404
    assert str(session.pk) not in client.get(f"/console/calls/?agent={agent.pk}").content.decode()
    assert str(session.pk) not in client.get("/console/").content.decode()
