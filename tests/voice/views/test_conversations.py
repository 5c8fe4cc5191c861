import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import make_agent, make_rung, make_session, make_turn, make_usage
from voice.models import EndReason, Outcome, TranscriptAudit, TranscriptTurn, WebhookDelivery, WebhookState
from voice.models.session import SessionState
from voice.transcripts import store
from voice.transcripts.recorder import TurnText
from voice.views import conversations as conversations_view
from voice.views.receipt import receipt_of
from voice.views.timeline import timeline_of
from voice.webhooks.endpoints import add_endpoint
from voice.webhooks.events import put_delivery


@pytest.fixture
def bob(client, cast):
    client.force_login(cast.bob)
    return cast.bob


def listed(response):
    return [session.pk for session in response.context["page"].sessions]


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


@pytest.mark.parametrize(
    "query",
    [
        "agent=nonsense", "outcome=x", "end_reason=x", "stars=9", "since=yesterday", "since=9999-12-31",
        "until=9999-12-31", "cost_from=-1", "cost_to=much", "before=x", "before=2026-11-22~x",
        "before=2026-11-22T10:00:00~7",
        "before=0001-01-01T00:00:00%2B05:00~00000000-0000-0000-0000-000000000000",
    ],
)  # fmt: skip
def test_a_filter_that_means_nothing_narrows_nothing(client, bob, agent, query):
    session = make_session(agent)
    assert listed(client.get(f"/console/calls/?{query}")) == [session.pk]


def test_conversations_are_narrowed_by_day_rating_and_cost(client, bob, agent):
    old = make_session(agent, created_at=datetime(2026, 3, 1, 23, 59, tzinfo=UTC), captured_micro=9_000_000)
    new = make_session(agent, stars=2, captured_micro=3_500_000)
    assert listed(client.get("/console/calls/?until=2026-03-01")) == [old.pk]
    assert listed(client.get("/console/calls/?since=2026-03-02")) == [new.pk]
    assert listed(client.get("/console/calls/?stars=2")) == [new.pk]
    assert listed(client.get("/console/calls/?cost_from=9")) == [old.pk]
    assert listed(client.get("/console/calls/?cost_to=4")) == [new.pk]


def test_long_lists_come_in_pages_that_keep_the_filter(client, bob, agent, monkeypatch):
    monkeypatch.setattr(conversations_view, "_A_PAGE", 2)
    at = timezone.now()
    # Two at the very same moment: none is lost or shown twice where a page ends between them.
    made = [make_session(agent, outcome=Outcome.CUT, created_at=at - timedelta(minutes=n // 2)).pk for n in range(5)]
    shown, address = [], "/console/calls/?outcome=cut"
    for length in (2, 2, 1):
        response = client.get(address)
        assert len(listed(response)) == length
        shown += listed(response)
        address = f"/console/calls/?outcome=cut&before={quote(response.context['page'].older)}"
    assert sorted(shown) == sorted(made) and response.context["page"].older == ""
    assert b"?outcome=cut" in response.content


def test_the_list_is_read_off_an_index(agent):
    sessions = agent.organisation.sessions
    for chosen in ({}, {"outcome": "cut"}, {"stars": "2"}, {"agent": agent.pk}):
        ordered = sessions.filter(**chosen).order_by("-created_at", "-pk")
        assert "USING INDEX session_" in ordered.explain() or connection.vendor != "sqlite"


def test_a_call_shows_its_turns_and_how_fast_each_was_answered(client, bob, agent):
    session = make_session(agent)
    make_turn(session, 0, "agent", latency_ms=1640, interrupted=True, heard_ms=900)
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "1,640 ms" in page and "Interrupted after 0.9 s" in page


def test_a_call_shows_which_model_answered_and_why(client, bob, agent):
    session = make_session(agent, model_served="parley-local", model_reason="It is under maintenance.")
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "parley-local, asked for gpt-realtime-mini" in page and "It is under maintenance." in page


def test_a_call_whose_model_changed_says_which_answered_why_and_how_long_the_caller_waited(client, bob, agent):
    session = make_session(agent)
    make_rung(session, "gpt-realtime-mini")
    one = client.get(f"/console/calls/{session.pk}/").content.decode()
    make_rung(session, "gpt-realtime-2.1-mini", index=1, reason="upstream_stalled", at_ms=61_000, waited_ms=1_460)
    two = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "Who answered" not in one and "Who answered" in two
    assert "It fell silent" in two and "1:01" in two and "1.4 s" in two and "upstream_stalled" not in two


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


# What was said.


@pytest.fixture
def kept(agent):
    """A conversation whose caller agreed."""
    agreed = {"consent": True, "consent_version": "ask-1/90d", "consent_at": timezone.now()}
    fields = {"visitor_id": "v" * 64, "comment": "Nice <b>voice</b>"}
    session = make_session(agent, transcript_policy="ask", **agreed, **fields)
    make_turn(session, 0, "agent")
    make_turn(session, 1, "caller")
    store.save(session, [TurnText(0, "Hello."), TurnText(1, "<script>alert(1)</script> 555 0142 88")])
    store.save_fields(session.pk, "c1", "book_appointment", {"name": "<i>Ada</i>"})
    return session


def test_what_was_said_is_shown_beside_its_times_and_escaped(client, bob, kept):
    page = client.get(f"/console/calls/{kept.pk}/").content.decode()
    assert "What was said" in page and "&lt;script&gt;alert(1)&lt;/script&gt; 555 0142 88" in page
    assert "<script>alert" not in page and "<i>Ada</i>" not in page and "&lt;i&gt;Ada&lt;/i&gt;" in page
    assert "The caller agreed" in page and "ask-1/90d" in page


def test_without_consent_the_page_says_that_nothing_is_kept(client, bob, agent):
    session = make_session(agent, transcript_policy="ask", consent=False, consent_at=timezone.now())
    make_turn(session, 0, "caller")
    page = client.get(f"/console/calls/{session.pk}/").content.decode()
    assert "What was said is not kept." in page and "The caller declined" in page and "transcript.json" not in page


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("json", "application/json"), ("txt", "text/plain"), ("srt", "application/x-subrip"), ("vtt", "text/vtt")],
)
def test_a_transcript_is_downloaded_as_a_file_and_that_is_written_down(client, bob, kept, name, content_type):
    response = client.get(f"/console/calls/{kept.pk}/transcript.{name}")
    assert response.status_code == 200 and response["Content-Type"].startswith(content_type)
    assert response["Content-Disposition"] == f'attachment; filename="{kept.pk}.{name}"'
    assert "555 0142 88" in response.content.decode()
    row = TranscriptAudit.objects.get()
    assert (row.action, row.actor, row.session_id) == ("downloaded", bob, kept.pk)


def test_a_download_can_leave_out_numbers(client, bob, kept):
    text = client.get(f"/console/calls/{kept.pk}/transcript.txt?redacted=1").content.decode()
    assert "[phone number]" in text and "555" not in text


def test_there_is_no_file_of_what_is_not_kept_or_no_format(client, bob, agent, kept):
    assert client.get(f"/console/calls/{make_session(agent).pk}/transcript.json").status_code == 404
    assert client.get(f"/console/calls/{kept.pk}/transcript.exe").status_code == 404


def test_numbers_are_blotted_out_for_good(client, cast, kept):
    client.force_login(cast.alice)
    client.post(f"/console/calls/{kept.pk}/redact/")
    assert "555" not in client.get(f"/console/calls/{kept.pk}/").content.decode()
    assert not TranscriptTurn.objects.filter(text__contains="555").exists()


def test_an_admin_deletes_what_was_said_and_the_receipt_stays(client, cast, kept):
    make_usage(kept, ("audio_out", 7, 3_000_000_000, 21_001))
    client.force_login(cast.alice)
    page = client.post(f"/console/calls/{kept.pk}/delete/", follow=True).content.decode()
    assert "Ada" not in page and "alert(1)" not in page and "Nice" not in page and "0.021001" in page
    assert not TranscriptTurn.objects.exists()


def test_an_admin_forgets_a_caller(client, cast, kept):
    client.force_login(cast.alice)
    page = client.post(f"/console/calls/{kept.pk}/forget/", follow=True).content.decode()
    assert "The caller is forgotten: 1 conversation." in page
    kept.refresh_from_db()
    assert kept.visitor_id == ""


def test_an_admin_hands_out_what_is_held_of_a_caller(client, cast, kept):
    client.force_login(cast.alice)
    response = client.post(f"/console/calls/{kept.pk}/export/")
    assert json.loads(response.content)["calls"][0]["collected"][0]["fields"] == {"name": "<i>Ada</i>"}
    assert "attachment" in response["Content-Disposition"]


@pytest.mark.parametrize(("member", "may_send_again"), [("alice", True), ("bob", False)])
def test_a_webhook_that_did_not_arrive_is_sent_again_from_its_conversation(client, cast, kept, member, may_send_again):
    endpoint, _ = add_endpoint(cast.organisation, url="https://hooks.example/", event_types=["transcript.ready"])
    delivery = put_delivery(endpoint, "transcript.ready", {"session_id": str(kept.pk)}, key="k")
    WebhookDelivery.objects.update(state=WebhookState.FAILED, next_attempt_at=None)
    client.force_login(getattr(cast, member))
    page = client.get(f"/console/calls/{kept.pk}/").content.decode()
    assert "Given up" in page
    assert (f'action="/console/webhooks/deliveries/{delivery.pk}/replay/"' in page) == may_send_again


@pytest.mark.parametrize("what", ["delete", "redact", "forget", "export"])
def test_a_plain_member_reads_and_nothing_else(client, bob, kept, what):
    assert client.post(f"/console/calls/{kept.pk}/{what}/").status_code == 403
    assert TranscriptTurn.objects.count() == 2


@pytest.mark.parametrize("path", ["", "transcript.json"])
def test_for_mallory_the_words_do_not_exist(client, cast, kept, path):
    client.force_login(cast.mallory)
    assert client.get(f"/console/calls/{kept.pk}/{path}").status_code == 404


@pytest.mark.parametrize("what", ["delete", "redact", "forget", "export"])
def test_mallory_can_do_nothing_with_them(client, cast, kept, what):
    client.force_login(cast.mallory)
    assert client.post(f"/console/calls/{kept.pk}/{what}/").status_code == 404
    assert TranscriptTurn.objects.count() == 2 and not TranscriptAudit.objects.exists()


def test_what_a_turn_cost_is_beside_it_and_adds_up(agent):
    session = make_session(agent)
    make_turn(session, 0, "agent")
    make_turn(session, 1, "caller", item_id="item_of_caller")
    make_turn(session, 2, "agent")
    at = session.started_at
    make_usage(session, ("audio_out", 1, 1, 5), created_at=at + timedelta(seconds=2))
    make_usage(session, ("seconds", 1, 1, 7), upstream_id="item_of_caller", created_at=at + timedelta(seconds=9))
    make_usage(session, ("audio_out", 1, 1, 11), created_at=at + timedelta(seconds=8))
    rows = timeline_of(session, None, list(session.usage_records.all()))
    assert [row.cost_micro for row in rows] == [5, 7, 11]
    assert all(row.x >= 0 and row.width > 0 and row.x + row.width <= 1000 for row in rows)
