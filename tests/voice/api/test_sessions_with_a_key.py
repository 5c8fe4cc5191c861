"""Calls as a customer's code asks for, lists, reads and ends them."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.api_keys import revoke_key
from accounts.models import ApiKey
from billing import ledger
from tests import factories
from tests.voice.api.conftest import error_of
from voice.admission import tickets
from voice.catalogue.rate_card import Kind
from voice.metering.rating import Line, Rating
from voice.metering.records import Used, record_usage
from voice.models import CatalogueModel, EndReason, Session, SessionState, Transcript
from voice.models.transcript import TranscriptTurn
from voice.sessions import records
from voice.sessions.orders import control
from voice.transcripts.consent import records_words

PATH = "/v1/voice/sessions"
EVERYTHING = {
    "llm_model": "gpt-realtime-mini",
    "voice": "coral",
    "turn_detection": "realtime_llm",
    "language": "hi",
    "system_prompt": "You help with bicycles.",
    "max_duration_seconds": 120,
    "webhook_url": "https://example.com/hook",
    "metadata": {"order": "1234"},
}


def held(organisation):
    return ledger.balance_of(organisation.id).held_micro


def test_code_starts_a_call_without_an_agent_a_captcha_or_a_page(call, organisation):
    response = call("POST", PATH, EVERYTHING)
    body = response.json()
    assert response.status_code == 201
    assert body["websocket_url"] == "ws://testserver/v1/voice/sessions"
    assert (body["model_asked"], body["model_served"]) == ("gpt-realtime-mini", "parley-embedded")
    assert "needs an OpenAI key" in body["model_reason"]
    assert tickets.redeem(body["ticket"]) == uuid.UUID(body["id"])
    assert held(organisation) > 0


def test_what_was_asked_for_is_what_the_call_gets(call):
    session_id = call("POST", PATH, EVERYTHING).json()["id"]
    held_call = records.begin(uuid.UUID(session_id))
    assert held_call.instructions == "You help with bicycles."
    assert (held_call.language, held_call.max_duration_s, held_call.turn_detection) == ("hi", 120, "realtime_llm")


def test_the_answer_shows_the_call_as_it_was_understood(call):
    shown = call("POST", PATH, EVERYTHING).json()["session"]
    asked = {name: shown[name] for name in EVERYTHING if name in shown}
    assert asked == {name: value for name, value in EVERYTHING.items() if name != "system_prompt"}
    assert (shown["status"], shown["source"], shown["agent"]) == ("created", "api", None)


def test_when_no_model_can_be_talked_to_the_call_is_typed_and_the_answer_says_so(call, organisation):
    assert call("POST", PATH, EVERYTHING).json()["is_voice"] is True
    CatalogueModel.objects.filter(kind="realtime").update(status="maintenance")
    body = call("POST", PATH, EVERYTHING).json()
    assert body["is_voice"] is False and "under maintenance" in body["model_reason"]
    held_call = records.begin(uuid.UUID(body["id"]))
    assert (held_call.is_voice, held_call.endpoint.adapter) == (False, "chat")
    assert held(organisation) > 0


def test_when_no_model_can_serve_at_all_a_program_is_told_to_come_back(call):
    CatalogueModel.objects.filter(kind__in=["realtime", "chat"]).update(status="maintenance")
    response = call("POST", PATH, EVERYTHING)
    assert error_of(response) == (503, "model_unavailable", None) and response["Retry-After"] == "60"


def test_an_agent_of_ones_own_may_be_named(call, agent):
    shown = call("POST", PATH, {"agent": agent.public_key}).json()["session"]
    assert (shown["agent"], shown["voice"]) == (str(agent.id), agent.voice)


@pytest.mark.parametrize(
    ("policy", "answer", "kept"), [("ask", True, True), ("ask", None, False), ("never", True, False)]
)
def test_words_are_kept_where_the_agent_asks_and_the_caller_agreed(call, agent, policy, answer, kept):
    type(agent).objects.update(transcript_policy=policy)
    body = {"agent": agent.public_key, **({} if answer is None else {"consent": answer})}
    assert call("POST", PATH, body).status_code == 201
    assert records_words(Session.objects.get()) is kept


def test_a_typed_call_is_asked_for_as_the_widget_does(call):
    assert call("POST", PATH, {"voice": False}).status_code == 201
    assert not Session.objects.get().is_voice


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("voice", "nova", "alloy, echo, shimmer, ash, ballad, coral, sage, verse, marin, cedar"),
        ("voice", 7, "voice"),
        ("turn_detection", "magic", "'realtime_llm' or 'server_vad'"),
        ("llm_model", "gpt-9", "gpt-realtime-mini"),
        ("language", "english please", "language"),
        ("system_prompt", "x" * 8001, "8000"),
        ("max_duration_seconds", 10, "30"),
        ("max_duration_seconds", 3601, "3600"),
        ("max_duration_seconds", 60.5, "integer"),
        ("max_duration_seconds", True, "integer"),
        ("webhook_url", "http://[", "https://"),
        ("webhook_url", "ftp://example.com", "https://"),
        ("webhook_url", "https://example.com/a b", "https://"),
        ("metadata", {"a b": "c"}, "letters"),
        ("metadata", {"a": "x" * 513}, "512"),
        ("metadata", {str(n): "x" for n in range(17)}, "16"),
        ("metadata", {"a": 1}, "string"),
        ("agent", "", "at least 1"),
        ("surprise", 1, "Extra inputs"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_takes(call, field, value, words):
    response = call("POST", PATH, {field: value})
    status, code, param = error_of(response)
    assert (status, code, param.partition(".")[0]) == (400, "invalid_request", field)
    message = response.json()["error"]["message"]
    assert message.startswith(field) and words in message
    assert not Session.objects.exists()


def test_a_visitor_may_not_set_what_a_key_may(client, agent):
    body = {"agent": agent.public_key, "system_prompt": "Sell me everything."}
    response = client.post(PATH, body, content_type="application/json", headers={"Origin": "http://testserver"})
    assert error_of(response) == (400, "invalid_request", "system_prompt")


def test_without_an_agent_a_visitor_is_told_of_both_ways(client, db):
    response = client.post(PATH, {}, content_type="application/json")
    assert error_of(response) == (400, "invalid_request", "agent")
    assert "API key" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("limits", "code", "status"),
    [
        ({"scopes": ["chat"]}, "scope_missing", 403),
        ({"allowed_models": ["gpt-realtime"]}, "model_not_allowed", 403),
        ({"monthly_budget_micro": 1}, "api_key_budget_reached", 402),
    ],
)
def test_a_key_is_held_to_its_limits(call, new_key, limits, code, status):
    assert error_of(call("POST", PATH, {}, key=new_key(**limits))) == (status, code, None)


def test_an_empty_wallet_is_told_as_such(call, organisation):
    ledger.adjust(organisation.id, -1000 * ledger.MICRO, key="k", reason="For a test", actor="test")
    response = call("POST", PATH, {})
    assert error_of(response) == (402, "out_of_credit", None)
    assert response.json()["error"]["type"] == "insufficient_quota"


def test_a_wrong_or_revoked_key_is_told_which(call, new_key):
    assert error_of(call("POST", PATH, {}, key="sk_parley_nothing")) == (401, "invalid_api_key", None)
    text = new_key()
    revoke_key(ApiKey.objects.latest("created_at"))
    response = call("POST", PATH, {}, key=text)
    assert error_of(response) == (401, "api_key_revoked", None)
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_key_is_also_taken_as_azures_clients_send_it(client, new_key):
    assert client.get(PATH, headers={"Api-Key": new_key()}).status_code == 200


def test_a_key_in_the_address_opens_nothing(client, new_key):
    assert error_of(client.get(PATH, {"api_key": new_key()})) == (401, "invalid_api_key", None)


# How often.


def test_every_answer_says_what_is_left_of_the_minute(call, new_key):
    key = new_key(requests_per_minute=2)
    first, second = call("GET", PATH, key=key), call("GET", f"{PATH}/{uuid.uuid4()}", key=key)
    assert [each["X-RateLimit-Remaining-Requests"] for each in (first, second)] == ["1", "0"]
    assert second.status_code == 404
    third = call("GET", PATH, key=key)
    assert error_of(third) == (429, "rate_limit_exceeded", None)
    assert 1 <= int(third["Retry-After"]) <= 60
    assert (third["X-RateLimit-Limit-Requests"], third["X-RateLimit-Remaining-Requests"]) == ("2", "0")


def test_guessing_keys_comes_to_an_end(call):
    answers = {call("GET", PATH, key="sk_parley_nothing").status_code for _ in range(60)}
    assert answers == {401}
    assert error_of(call("GET", PATH, key="sk_parley_nothing")) == (429, "too_many_attempts", None)


# Reading.


def test_calls_are_listed_newest_first_page_by_page(call, agent):
    now = timezone.now()
    made = [factories.make_session(agent, created_at=now - timedelta(minutes=n)) for n in range(5)]
    factories.make_session(agent, created_at=made[0].created_at)
    seen, cursor = [], ""
    while True:
        page = call("GET", f"{PATH}?limit=2&cursor={cursor}").json()
        seen += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == bool(cursor)
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 6
    assert seen[2:] == [str(session.id) for session in made[1:]]


def test_calls_are_narrowed_by_status(call, agent, open_session):
    live = open_session()
    factories.make_session(agent)
    page = call("GET", f"{PATH}?status=live").json()
    assert [each["id"] for each in page["data"]] == [str(live.id)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "status=new", "cursor=x", "cursor=%00", "cursor=MjAyNiB4", "limit="]
)
def test_a_page_that_cannot_be_is_refused_by_name(call, query):
    assert error_of(call("GET", f"{PATH}?{query}")) == (400, "invalid_request", query.partition("=")[0])


@pytest.mark.parametrize("part", ["", "/transcript", "/cost"])
def test_another_organisations_call_is_not_there(call, new_key, catalogue, part):
    mallory = factories.make_organisation("Mallory Ltd")
    theirs = factories.make_session(factories.make_agent(mallory))
    assert error_of(call("GET", f"{PATH}/{theirs.id}{part}")) == (404, "session_not_found", None)
    assert call("GET", f"{PATH}/{theirs.id}", key=new_key(of=mallory)).status_code == 200


def test_a_call_is_read_as_it_is(call, agent):
    session = factories.make_session(agent, metadata={"order": "7"})
    shown = call("GET", f"{PATH}/{session.id}").json()
    assert (shown["status"], shown["end_reason"], shown["outcome"]) == ("ended", "caller_hung_up", "completed")
    assert (shown["duration_ms"], shown["metadata"], shown["source"]) == (60_000, {"order": "7"}, "widget")


def test_reading_needs_a_scope_of_its_own(call, new_key, agent):
    session = factories.make_session(agent)
    key = new_key(scopes=["realtime"])
    for part in ("", f"/{session.id}", f"/{session.id}/cost", f"/{session.id}/transcript"):
        assert error_of(call("GET", PATH + part, key=key)) == (403, "scope_missing", None)


def test_what_was_said_is_there_where_it_is_kept(call, agent):
    session = factories.make_session(agent)
    assert error_of(call("GET", f"{PATH}/{session.id}/transcript")) == (404, "transcript_not_kept", None)
    factories.make_turn(session, 0, "agent")
    transcript = Transcript.objects.create(session=session, organisation=session.organisation)
    TranscriptTurn.objects.create(transcript=transcript, index=0, text="Hello, Rosewood Dental.")
    body = call("GET", f"{PATH}/{session.id}/transcript").json()
    assert [(turn["speaker"], turn["text"]) for turn in body["turns"]] == [("agent", "Hello, Rosewood Dental.")]


def test_what_a_call_cost_adds_up_to_what_was_billed(call, open_session):
    session = open_session()
    lines = (Line(Kind.AUDIO_OUT, 100, 3_000_000_000, 300_000), Line(Kind.TEXT_IN, 1, 81_000_000, 81))
    record_usage(session.id, Used("response", "r1", "parley-embedded", {}), Rating(lines, 300_081))
    body = call("GET", f"{PATH}/{session.id}/cost").json()
    session.refresh_from_db()
    assert sum(line["amount_micro"] for line in body["lines"]) == body["total_micro"] == session.captured_micro
    assert (body["total_credits"], body["is_final"]) == ("0.300081", False)


# Ending.


def test_a_ticket_that_was_not_used_is_freed(call, organisation):
    body = call("POST", PATH, {}).json()
    assert call("DELETE", f"{PATH}/{body['id']}").status_code == 204
    assert held(organisation) == 0
    assert Session.objects.get().end_reason == EndReason.TICKET_UNUSED
    with pytest.raises(tickets.TicketInvalid):
        tickets.redeem(body["ticket"])


def test_a_live_call_is_told_to_end(call, open_session, monkeypatch):
    told = []
    monkeypatch.setattr(control, "_order", lambda reason, session: told.append((session, reason)))
    session = open_session()
    assert call("DELETE", f"{PATH}/{session.id}").status_code == 204
    session.refresh_from_db()
    assert session.hang_up_wanted and told == [(session.id.hex, EndReason.API_ENDED)]


def test_a_call_that_is_over_stays_as_it_is(call, agent):
    session = factories.make_session(agent)
    assert call("DELETE", f"{PATH}/{session.id}").status_code == 204
    session.refresh_from_db()
    assert (session.state, session.end_reason) == (SessionState.ENDED, EndReason.CALLER_HUNG_UP)


def test_only_ones_own_calls_can_be_ended(call, catalogue):
    theirs = factories.make_session(factories.make_agent(factories.make_organisation("Mallory Ltd")))
    assert error_of(call("DELETE", f"{PATH}/{theirs.id}")) == (404, "session_not_found", None)


def test_a_revoked_keys_live_calls_end(new_key, open_session, monkeypatch, django_capture_on_commit_callbacks):
    told = []
    monkeypatch.setattr(control, "_order", lambda reason, session: told.append((session, reason)))
    new_key()
    key = ApiKey.objects.get()
    session = open_session(api_key=key)
    open_session()
    with django_capture_on_commit_callbacks(execute=True):
        revoke_key(key)
    assert told == [(session.id.hex, EndReason.API_KEY_REVOKED)]
    assert records.still_live({session.id: ""}) == {session.id: EndReason.API_KEY_REVOKED}


# Addresses.


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/voice/sessions/", "/api/v2/models", "/v1/voice/sessions/x/cost"])
def test_what_is_not_there_is_told_in_json(client, path):
    assert error_of(client.get(path)) == (404, "not_found", None)
