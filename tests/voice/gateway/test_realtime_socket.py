"""The Realtime socket from its handshake to its bill: as if the model were at the other end, but held and metered."""

import base64
import json

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async as in_thread
from django.utils import timezone

from accounts import organisations
from accounts.api_keys import create_key, revoke_key
from billing import ledger
from tests import factories
from tests.fakes.obedient_model import USED, ObedientModel
from tests.flows.books import caption_micro, closed_books, only_session, response_micro
from tests.flows.browser import PATIENCE_S
from tests.flows.program import Program
from tests.flows.script import CAPTION_USAGE
from voice.admission.key_holders import authenticate_bearer, create_client_secret
from voice.gateway import realtime_client, realtime_consumer
from voice.models import ClientSecret, EndReason, ModelHealth, Session, Source
from voice.sessions.orders import control
from voice.sessions.programs import client_relay
from voice.upstream import registry
from voice.upstream.errors import UpstreamRefused

pytestmark = pytest.mark.django_db(transaction=True)

RESPONSE_MICRO = response_micro(USED)
FRAME = bytes(range(256)) * 4
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What gives a program time to read its last words is shorter here."""
    monkeypatch.setattr(realtime_consumer, "_READ_LAST_WORDS_S", 0.0)
    monkeypatch.setattr(realtime_consumer, "_NOT_SO_FAST_S", 0.0)
    monkeypatch.setattr(realtime_consumer, "_FIRST_EVENT_S", 0.05)
    monkeypatch.setattr(client_relay, "_LAST_USAGE_S", 0.05)


@pytest.fixture
def model(monkeypatch):
    model = ObedientModel()
    monkeypatch.setattr(registry, "dial", model.dial)
    return model


@pytest.fixture
def slow_model(monkeypatch):
    """One whose answers are finished when the test says so."""
    model = ObedientModel(holds_answers=True)
    monkeypatch.setattr(registry, "dial", model.dial)
    return model


@pytest.fixture
def api_key(organisation, catalogue):
    return create_key(organisation, name="test")


@pytest.fixture
def key(api_key):
    return api_key[1]


@pytest.fixture
async def program(key, model):
    program = Program(key)
    await program.begins()
    return program


async def books_of(program):
    """Return the books of the only session, once its program has left."""
    if program.close_code is None:
        await program.leaves()
    return await in_thread(closed_books)(await in_thread(only_session)())


async def refused(program, code, close_code):
    """Check that the last event says why, once, and the close code with it."""
    assert await program.until_closed() == close_code
    errors = program.told_of("error")
    assert [error["error"]["code"] for error in errors] == [code]
    assert program.told[-1] == errors[0]
    assert errors[0]["event_id"] and errors[0]["error"]["message"]


# The door.


@pytest.mark.parametrize(
    "path", ["/v1/realtime", "/v1/realtime/", "/realtime", "/openai/v1/realtime", "/v1/voice/sessions"]
)
async def test_every_address_that_clients_know_leads_here(key, model, path):
    program = Program(key, path=path)
    await program.begins()
    assert (await books_of(program)).session.source == Source.REALTIME


@pytest.mark.parametrize(
    "shown",
    [
        {"headers": {"authorization": "Bearer KEY"}},
        {"headers": {"authorization": "bearer KEY"}},
        {"headers": {"api-key": "KEY"}},
        {"subprotocols": ("realtime", "openai-insecure-api-key.KEY", "openai-agents-sdk.0.20.0")},
    ],
)
async def test_a_key_is_taken_from_where_clients_put_it(key, model, shown):
    text = json.dumps(shown).replace("KEY", key)
    shown = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}
    program = Program(**shown)
    accepted, subprotocol = await program.opens()
    assert (accepted, subprotocol) == (True, "realtime" if "subprotocols" in shown else None)
    await program.leaves()


@pytest.mark.parametrize("shown", [{}, {"query": {"model": "gpt-realtime-mini", "api_key": "KEY", "api-key": "KEY"}}])
async def test_without_a_key_nobody_is_let_in_and_none_is_taken_from_the_address(key, model, shown):
    query = {name: value.replace("KEY", key) for name, value in shown.get("query", {"model": "m"}).items()}
    assert await Program(query=query).opens() == (False, 1000)


async def test_a_wrong_key_is_not_let_in(organisation, model):
    accepted, _ = await Program("sk_parley_wrong000_" + "x" * 43).opens()
    assert not accepted


async def test_a_server_that_can_answers_a_wrong_key_in_http(organisation, model):
    program = Program("wrong")
    program.socket.scope["extensions"] = {"websocket.http.response": {}}
    await program.socket.send_input({"type": "websocket.connect"})
    start = await program.socket.receive_output(PATIENCE_S)
    body = await program.socket.receive_output(PATIENCE_S)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert json.loads(body["body"])["error"]["code"] == "invalid_api_key"


async def test_a_revoked_key_is_not_let_in(api_key, model):
    await sync_to_async(revoke_key)(api_key[0])
    accepted, _ = await Program(api_key[1]).opens()
    assert not accepted


async def test_a_suspended_organisation_is_told_so(organisation, key, model):
    await in_thread(organisations.suspend_organisation)(organisation, "unpaid", None)
    program = Program(key)
    assert (await program.opens())[0]
    await refused(program, "account_deactivated", 4403)


async def test_an_empty_wallet_is_told_so_in_the_words_that_stop_clients(catalogue, model):
    _, key = await in_thread(create_key)(await in_thread(factories.make_organisation)(), name="poor")
    program = Program(key)
    await program.opens()
    await refused(program, "insufficient_quota", 4402)
    assert program.told[-1]["error"]["type"] == "insufficient_quota"


@pytest.mark.parametrize(
    "query, code, close_code",
    [
        ({"model": "gpt-99"}, "model_not_found", 4404),
        ({"model": "gpt-realtime-mini", "agent": "pk_nobody"}, "agent_not_found", 4404),
        ({"model": "gpt-realtime-mini", "voice": "fable"}, "invalid_value", 4400),
        ({"model": "gpt-realtime-mini", "turn_detection": "telepathy"}, "invalid_value", 4400),
        ({"intent": "transcription"}, "invalid_value", 4400),
        ({"call_id": "rtc_1"}, "invalid_value", 4400),
    ],
)
async def test_what_the_address_asks_for_and_cannot_have_is_told(key, model, query, code, close_code):
    program = Program(key, query=query)
    await program.opens()
    await refused(program, code, close_code)


async def test_a_key_opens_only_the_models_it_is_for(organisation, catalogue, model):
    _, key = await in_thread(create_key)(organisation, name="narrow", allowed_models=["gpt-realtime-2.1"])
    program = Program(key)
    await program.opens()
    await refused(program, "model_not_allowed", 4403)


@pytest.mark.parametrize(
    "shown", [{"headers": {"openai-beta": "realtime=v1"}}, {"subprotocols": ("realtime", "openai-beta.realtime-v1")}]
)
async def test_a_client_of_the_beta_is_told_that_it_is_one(key, model, shown):
    program = Program(key, **shown)
    assert (await program.opens())[0]
    await refused(program, "beta_api_shape_disabled", 4000)


async def test_a_model_named_by_the_first_event_is_the_model(key, model):
    program = Program(key, query={})
    await program.opens()
    await program.says("session.update", session={"type": "realtime", "model": "gpt-realtime-2.1"})
    created = await program.until("session.created")
    assert created["session"]["model"] == "gpt-realtime-2.1"
    assert (await books_of(program)).session.model_asked == "gpt-realtime-2.1"


async def test_without_any_model_the_installations_default_answers(key, model):
    program = Program(key, query={})
    assert (await program.begins())["model"] == "gpt-realtime-mini"
    await program.leaves()


async def test_a_client_secret_begins_with_the_session_it_was_made_with(key, model):
    holder = await in_thread(authenticate_bearer)(key)
    _, secret = await in_thread(create_client_secret)(
        holder, model="gpt-realtime-mini", session={"audio": {"output": {"voice": "coral"}}}, lifetime_s=60,
        credits_cap_micro=10**9, max_duration_s=120,
    )  # fmt: skip
    program = Program(subprotocols=("realtime", f"openai-insecure-api-key.{secret}"))
    session = await program.begins()
    assert session["audio"]["output"]["voice"] == "coral"
    books = await books_of(program)
    assert (books.session.client_secret_id is not None, books.session.max_duration_s) == (True, 120)


@pytest.fixture
def client_secret(api_key):
    """A client secret's row and its text."""
    return create_client_secret(authenticate_bearer(api_key[1]), model="gpt-realtime-mini", session={}, lifetime_s=60)


async def test_a_client_secret_past_its_time_is_not_let_in(client_secret, model):
    await in_thread(ClientSecret.objects.update)(expires_at=timezone.now())
    accepted, _ = await Program(client_secret[1]).opens()
    assert not accepted


async def test_a_session_outlives_the_client_secret_that_opened_it(client_secret, model):
    program = Program(client_secret[1])
    await program.begins()
    await in_thread(ClientSecret.objects.update)(expires_at=timezone.now())
    await program.says("response.create")
    await program.until("response.done")
    assert (await books_of(program)).cost_micro == RESPONSE_MICRO


async def test_a_session_falls_with_the_key_that_made_its_client_secret(api_key, client_secret, model):
    program = Program(client_secret[1])
    await program.begins()
    await sync_to_async(revoke_key, thread_sensitive=False)(api_key[0])
    await refused(program, "invalid_api_key", 4401)


async def test_an_agent_lends_its_words(agent, key, model):
    program = Program(key, path="/v1/voice/sessions", query={"agent": agent.public_key})
    session = await program.begins()
    assert agent.instructions in session["instructions"]
    assert (await books_of(program)).session.agent_id == agent.id


async def test_a_model_that_cannot_be_reached_costs_nothing(key, monkeypatch):
    async def dial(*_, **__):
        raise UpstreamRefused("upstream_unauthorized", retryable=False)

    monkeypatch.setattr(registry, "dial", dial)
    program = Program(key)
    await program.opens()
    await refused(program, "upstream_unavailable", 1011)
    assert (await books_of(program)).cost_micro == 0


# What the model is told.


async def test_the_model_never_answers_by_itself(program, model):
    (opening,) = model.sent_of("session.update")
    turn_detection = opening["session"]["audio"]["input"]["turn_detection"]
    assert turn_detection == {"type": "server_vad", "create_response": False}
    await program.leaves()


@pytest.mark.parametrize("wanted, kind", [("realtime_llm", "semantic_vad"), ("server_vad", "server_vad")])
async def test_the_model_decides_who_has_finished_where_that_is_asked_for(key, model, wanted, kind):
    query = {"llm_model": "gpt-realtime-mini", "voice": "cedar", "turn_detection": wanted}
    program = Program(key, path="/v1/voice/sessions", query=query)
    session = await program.begins()
    sent = model.sent_of("session.update")[0]["session"]["audio"]
    assert sent["input"]["turn_detection"] == {"type": kind, "create_response": False}
    assert sent["output"]["voice"] == "cedar"
    assert session["audio"]["input"]["turn_detection"]["type"] == kind
    await program.leaves()


async def test_frames_pass_untouched_both_ways(program, model):
    audio = base64.b64encode(FRAME).decode()
    sent = f'{{ "type": "input_audio_buffer.append" , "audio": "{audio}" }}'
    await program.sends_text(sent)
    truncate = '{"type":"conversation.item.truncate",  "item_id":"item_9","content_index":0,"audio_end_ms":480}'
    await program.sends_text(truncate)
    await model.was_sent("conversation.item.truncate")
    assert [frame.decode() for frame in model.raw[1:]] == [sent, truncate]
    delta = b'{"type":"response.output_audio.delta",  "item_id":"i","response_id":"r", "event_id":"e","delta":"AAAA"}'
    model.emit_raw(delta)
    unknown = b'{"event_id":"e2",  "type":"something.new","value":1}'
    model.emit_raw(unknown)
    outputs = [await program.socket.receive_output(PATIENCE_S) for _ in range(2)]
    assert [output["text"].encode() for output in outputs] == [delta, unknown]
    await program.leaves()


async def test_what_the_provider_says_of_our_account_is_kept_from_customers(program, model):
    model.emit({"type": "rate_limits.updated", "rate_limits": []}, {"type": "conversation.created"})
    await program.until("conversation.created")
    assert program.told_of("rate_limits.updated") == []
    await program.leaves()


# Answers.


async def test_a_turn_is_answered_as_if_the_model_did_it(program, model):
    model.hears("item_user")
    done = await program.until("response.done")
    asked = await model.was_sent("response.create")
    assert asked["response"] == {"max_output_tokens": 4096}
    assert done["response"]["usage"] == USED
    expected = ["speech_started", "speech_stopped", "committed"]
    assert program.told_types()[1:5] == [*(f"input_audio_buffer.{name}" for name in expected), "response.created"]
    books = await books_of(program)
    assert (books.cost_micro, books.session.end_reason) == (RESPONSE_MICRO, EndReason.CALLER_HUNG_UP)


async def test_turns_are_not_answered_where_the_client_does_not_wish_it(program, model):
    turn_detection = {"type": "server_vad", "create_response": False}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": turn_detection}}}
    await program.says("session.update", session=session)
    await program.until("session.updated")
    model.hears("item_user")
    await program.until("input_audio_buffer.committed")
    await program.says("conversation.item.delete", item_id="item_user")
    await model.was_sent("conversation.item.delete")
    assert model.sent_of("response.create") == []
    assert (await books_of(program)).cost_micro == 0


async def test_what_a_client_commits_by_hand_is_answered_when_it_asks(program, model):
    await program.says("input_audio_buffer.commit")
    await program.until("input_audio_buffer.committed")
    assert model.sent_of("response.create") == []
    await program.says("response.create")
    await program.until("response.done")
    assert (await books_of(program)).cost_micro == RESPONSE_MICRO


async def test_a_clients_response_is_asked_for_in_its_own_words_and_within_bounds(program, model):
    response = {"instructions": "Say hi.", "metadata": {"client_event_id": "lk_1"}, "max_output_tokens": "inf"}
    await program.says("response.create", event_id="mine", response=response)
    created = await program.until("response.created")
    assert created["response"]["metadata"] == {"client_event_id": "lk_1"}
    assert (await model.was_sent("response.create"))["response"] == {**response, "max_output_tokens": 4096}
    await program.until("response.done")
    await program.leaves()


async def test_the_sessions_own_limit_holds_where_a_response_names_none(program, model):
    await program.says("session.update", session={"type": "realtime", "max_output_tokens": 300})
    updated = await program.until("session.updated")
    assert updated["session"]["max_output_tokens"] == 300
    await program.says("response.create")
    assert (await model.was_sent("response.create"))["response"]["max_output_tokens"] == 300
    await program.leaves()


async def test_a_response_beside_a_running_one_is_refused(key, slow_model):
    program = Program(key)
    await program.begins()
    await program.says("response.create")
    await program.until("response.created")
    await program.says("response.create", event_id="second")
    error = (await program.until("error"))["error"]
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    assert len(slow_model.sent_of("response.create")) == 1
    await program.leaves()


async def test_a_response_out_of_band_waits_for_the_running_one(key, slow_model):
    program = Program(key)
    await program.begins()
    await program.says("response.create")
    await program.until("response.created")
    await program.says("response.create", response={"conversation": "none", "input": []})
    await program.says("conversation.item.delete", item_id="x")
    await slow_model.was_sent("conversation.item.delete")
    assert len(slow_model.sent_of("response.create")) == 1
    slow_model.finish()
    asked = await slow_model.was_sent("response.create", 2)
    assert asked["response"]["conversation"] == "none"
    await program.leaves()


async def test_a_turn_that_interrupts_is_answered_after_what_it_interrupted(key, slow_model):
    program = Program(key)
    await program.begins()
    await program.says("response.create")
    await program.until("response.created")
    slow_model.hears("item_user")
    await program.until("input_audio_buffer.committed")
    slow_model.finish()
    await slow_model.was_sent("response.create", 2)
    await program.leaves()


async def test_a_response_cancelled_before_the_model_knew_of_it_is_cancelled_when_it_does(key, slow_model):
    program = Program(key)
    await program.begins()
    # Both at once: the response is still being paid for when it is cancelled.
    slow_model.hears("item_user")
    await program.until("input_audio_buffer.committed")
    await program.says("response.cancel")
    done = await program.until("response.done")
    assert done["response"]["status"] == "cancelled"
    assert program.told_of("error") == []
    await program.leaves()


async def test_history_is_replayed_in_order_before_the_response(program, model):
    for number in range(5):
        part = {"type": "input_text", "text": f"line {number}"}
        item = {"id": f"h{number}", "type": "message", "role": "user", "content": [part]}
        await program.says("conversation.item.create", previous_item_id="root", item=item)
    await program.says("response.create")
    after = {"id": "after", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "more"}]}
    await program.says("conversation.item.create", item=after)
    await program.until("response.done")
    await model.was_sent("conversation.item.create", 6)
    order = [event["item"]["id"] if "item" in event else event["type"] for event in model.sent[1:]]
    assert order == ["h0", "h1", "h2", "h3", "h4", "response.create", "after"]
    await program.leaves()


# The session, as its client reads it.


async def test_a_client_reads_back_what_it_asked_for(program, model):
    turn_detection = {"type": "semantic_vad", "eagerness": "low", "create_response": True, "interrupt_response": False}
    wanted = {
        "type": "realtime", "model": "gpt-realtime-mini", "tracing": "auto", "max_output_tokens": "inf",
        "audio": {"input": {"turn_detection": turn_detection}, "output": {"voice": "cedar"}},
    }  # fmt: skip
    await program.says("session.update", session=wanted)
    session = (await program.until("session.updated"))["session"]
    assert session["audio"]["input"]["turn_detection"] == turn_detection
    assert (session["tracing"], session["max_output_tokens"]) == ("auto", "inf")
    assert session["audio"]["output"]["voice"] == "cedar"
    sent = (await model.was_sent("session.update", 2))["session"]
    assert sent["audio"]["input"]["turn_detection"] == {**turn_detection, "create_response": False}
    assert "tracing" not in sent
    await program.leaves()


async def test_a_voice_that_is_not_offered_is_refused_by_name(program, model):
    session = {"type": "realtime", "audio": {"output": {"voice": "fable"}}}
    await program.says("session.update", event_id="mine", session=session)
    error = (await program.until("error"))["error"]
    assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "session.audio.output.voice", "mine")
    assert len(model.sent_of("session.update")) == 1
    await program.leaves()


async def test_the_models_own_refusal_names_the_clients_event(program, model):
    model.refuses["session.update"] = "invalid_value"
    await program.says("session.update", event_id="mine", session={"type": "realtime"})
    assert (await program.until("error"))["error"]["event_id"] == "mine"
    await program.says("session.update", session={"type": "realtime"})
    assert (await program.until("error"))["error"]["event_id"] is None
    await program.leaves()


async def test_after_a_refused_response_another_may_be_asked_for(program, model):
    model.refuses["response.create"] = "server_error"
    await program.says("response.create", event_id="mine")
    assert (await program.until("error"))["error"]["event_id"] == "mine"
    model.refuses.clear()
    await program.says("response.create")
    await program.until("response.done")
    await program.leaves()


async def test_a_picture_for_a_model_that_cannot_see_is_refused(key, model):
    # The embedded model stands in.
    program = Program(key)
    await program.begins()
    part = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    item = {"type": "message", "role": "user", "content": [part]}
    await program.says("conversation.item.create", event_id="mine", item=item)
    error = (await program.until("error"))["error"]
    assert (error["code"], error["event_id"]) == ("invalid_value", "mine")
    assert "parley-embedded" in error["message"] and "image" in error["message"]
    await program.leaves()


async def test_pictures_are_billed(key, model, settings, monkeypatch):
    settings.OPENAI_API_KEY = "sk-test"
    seen = {**USED, "input_tokens": 1150, "total_tokens": 1202}
    seen["input_token_details"] = {**USED["input_token_details"], "image_tokens": 1000}
    monkeypatch.setattr("tests.fakes.obedient_model.USED", seen)
    program = Program(key)
    await program.begins()
    part = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    item = {"type": "message", "role": "user", "content": [part]}
    await program.says("conversation.item.create", item=item)
    await program.says("response.create")
    await program.until("response.done")
    # A thousand tokens of pictures at $0.80 a million, a hundred credits a dollar, and 35 %.
    assert (await books_of(program)).cost_micro == RESPONSE_MICRO + 1000 * 108


# Money.


async def test_what_is_written_down_is_billed(program, model):
    session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}}
    await program.says("session.update", session=session)
    await program.until("session.updated")
    where = {"item_id": "item_user", "content_index": 0, "transcript": "Hello."}
    model.emit({"type": TRANSCRIBED, **where, "usage": CAPTION_USAGE})
    await program.until(TRANSCRIBED)
    assert (await books_of(program)).cost_micro == caption_micro(CAPTION_USAGE)


async def test_listening_alone_ends_with_the_credits_too(catalogue, model):
    organisation = await in_thread(factories.make_organisation)(credits=5)
    _, key = await in_thread(create_key)(organisation, name="listener")
    program = Program(key)
    await program.begins()
    # A minute of speech: what is set aside for it, and no more.
    minute = {**CAPTION_USAGE, "input_tokens": 600, "output_tokens": 400, "total_tokens": 1000}
    minute["input_token_details"] = {"text_tokens": 0, "audio_tokens": 600}
    for number in range(20):
        model.emit(
            {"type": TRANSCRIBED, "item_id": f"i{number}", "content_index": 0, "transcript": "x", "usage": minute}
        )
    await refused(program, "insufficient_quota", 4402)
    books = await books_of(program)
    assert books.session.end_reason == EndReason.OUT_OF_CREDIT
    assert books.balance.balance_micro < caption_micro(minute)
    # All of them had been heard by then; beyond the end nothing is collected, and nothing hidden.
    assert books.cost_micro + books.session.uncollected_micro == 20 * caption_micro(minute)


async def test_a_session_ends_before_its_balance_does(catalogue, model, monkeypatch):
    organisation = await in_thread(factories.make_organisation)(credits=20)
    _, key = await in_thread(create_key)(organisation, name="nearly out")
    program = Program(key)
    await program.begins()
    dear = {**USED, "output_tokens": 5012, "output_token_details": {"text_tokens": 12, "audio_tokens": 5000}}
    monkeypatch.setattr("tests.fakes.obedient_model.USED", dear)
    await program.says("response.create")
    await program.until("response.done")
    await program.says("response.create")
    await refused(program, "insufficient_quota", 4402)
    assert len(model.sent_of("response.create")) == 1
    assert (await books_of(program)).balance.held_micro == 0


async def test_a_keys_budget_ends_its_session_before_it_is_passed(organisation, catalogue, model, monkeypatch):
    budget_micro = 20 * ledger.MICRO
    _, key = await in_thread(create_key)(organisation, name="test", monthly_budget_micro=budget_micro)
    program = Program(key)
    await program.begins()
    dear = {**USED, "output_tokens": 5012, "output_token_details": {"text_tokens": 12, "audio_tokens": 5000}}
    monkeypatch.setattr("tests.fakes.obedient_model.USED", dear)
    await program.says("response.create")
    await program.until("response.done")
    await program.says("response.create")
    await refused(program, "insufficient_quota", 4402)
    books = await books_of(program)
    assert 0 < books.cost_micro <= budget_micro < books.balance.balance_micro
    assert books.session.end_reason == EndReason.OUT_OF_CREDIT


async def test_low_credits_are_no_error(catalogue, model):
    organisation = await in_thread(factories.make_organisation)(credits=8)
    _, key = await in_thread(create_key)(organisation, name="nearly out")
    program = Program(key)
    await program.begins()
    await program.says("response.create")
    notice = await program.until("parley.notice")
    assert (notice["code"], bool(notice["event_id"])) == ("low_credit", True)
    await program.until("response.done")
    assert program.told_of("error") == []
    await program.leaves()


async def test_an_answer_that_breaks_off_is_billed_by_what_was_heard_of_it(key, slow_model):
    program = Program(key)
    await program.begins()
    await program.says("response.create")
    await program.until("response.created")
    slow_model.emit(*slow_model._rest[:5])
    await program.until("response.output_audio.delta")
    slow_model.drop()
    await refused(program, "upstream_failed", 1011)
    books = await books_of(program)
    assert [row.is_estimated for row in books.usage] == [True]
    assert books.cost_micro > 0


async def test_a_model_that_breaks_off_is_told_to_its_breaker(key, slow_model):
    program = Program(key)
    await program.begins()
    slow_model.drop()
    await refused(program, "upstream_failed", 1011)
    health = await in_thread(ModelHealth.objects.get)(model__slug="parley-embedded")
    assert (health.failures_in_a_row, health.last_failure_code) == (1, "upstream_dropped")


async def test_a_session_that_a_model_refuses_says_nothing_of_the_model(key, model):
    model.refuses["session.update"] = "invalid_value"
    program = Program(key)
    await program.opens()
    await refused(program, "upstream_failed", 1011)
    assert not await in_thread(ModelHealth.objects.filter(failures_in_a_row__gt=0).exists)()


# The end.


async def test_a_revoked_key_ends_its_sessions_at_once(api_key, model):
    program = Program(api_key[1])
    await program.begins()
    await sync_to_async(revoke_key, thread_sensitive=False)(api_key[0])
    await refused(program, "invalid_api_key", 4401)
    assert (await books_of(program)).session.end_reason == EndReason.API_KEY_REVOKED


async def test_a_suspended_organisations_sessions_end_at_once(organisation, program, model):
    await sync_to_async(control.end_calls_of, thread_sensitive=False)(organisation.id)
    await refused(program, "account_deactivated", 4403)


async def test_a_session_that_was_deleted_ends(program, model):
    session_id = await in_thread(only_session)()
    await sync_to_async(control.end_call, thread_sensitive=False)(session_id)
    await refused(program, "session_ended", 4000)


async def test_the_models_own_end_of_a_session_is_told_once(program, model):
    error = {"type": "invalid_request_error", "code": "session_expired", "message": "60 minutes.", "event_id": None}
    model.emit({"type": "error", "error": error})
    model.drop()
    await refused(program, "session_expired", 4408)
    assert program.told[-1]["error"]["message"] == "Your session hit the maximum duration of 60 minutes."


async def test_the_longest_session_ends(key, model, monkeypatch):
    monkeypatch.setattr(client_relay, "_TICK_S", 0.01)
    program = Program(key)
    await program.begins()
    await in_thread(Session.objects.update)(max_duration_s=3600)
    monkeypatch.setattr(client_relay.time, "monotonic", lambda real=client_relay.time.monotonic: real() + 3601)
    await refused(program, "session_expired", 4408)


async def test_a_forgotten_session_ends(key, model, monkeypatch):
    monkeypatch.setattr(client_relay, "_TICK_S", 0.01)
    monkeypatch.setattr(client_relay, "IDLE_S", 0.05)
    program = Program(key)
    await program.begins()
    await refused(program, "session_idle", 4408)


async def test_a_silent_model_is_not_waited_for_without_end(key, slow_model, monkeypatch):
    monkeypatch.setattr(client_relay, "_TICK_S", 0.01)
    monkeypatch.setattr(client_relay, "_STALL_S", 0.05)
    program = Program(key)
    await program.begins()
    await program.says("response.create")
    await refused(program, "upstream_failed", 1011)


async def test_binary_frames_are_refused(program, model):
    await program.socket.send_input({"type": "websocket.receive", "bytes": FRAME})
    await refused(program, "invalid_event", 1003)
    assert (await books_of(program)).session.end_reason == EndReason.PROTOCOL_ERROR


async def test_too_many_events_are_refused(key, model, monkeypatch):
    monkeypatch.setattr(realtime_client, "_EVENTS_MAX", 3)
    program = Program(key)
    await program.begins()
    for _ in range(4):
        await program.says("input_audio_buffer.clear")
    await refused(program, "rate_limit_exceeded", 4429)


async def test_too_much_data_is_refused(key, model, monkeypatch):
    monkeypatch.setattr(realtime_client, "_BYTES_MAX", 1000)
    program = Program(key)
    await program.begins()
    await program.sends_audio(FRAME)
    await refused(program, "rate_limit_exceeded", 4429)


async def test_a_program_that_reads_none_of_its_errors_is_left(key, model, monkeypatch):
    monkeypatch.setattr(realtime_client, "_ERRORS_MAX", 3)
    program = Program(key)
    await program.begins()
    for _ in range(4):
        await program.sends_text("{")
    assert await program.until_closed() == 4400


async def test_a_program_that_does_not_read_is_left(key, slow_model, monkeypatch):
    monkeypatch.setattr(client_relay, "_TICK_S", 0.01)
    monkeypatch.setattr(realtime_client.RealtimeClient, "waits_since", 0.0)
    program = Program(key)
    await program.opens()
    await program.until_closed()
    assert program.close_code == 4409


async def test_a_connection_that_breaks_is_settled(program, model):
    await program.says("response.create")
    await program.until("response.done")
    await program.leaves(1006)
    program.close_code = 1006
    books = await books_of(program)
    assert (books.session.end_reason, books.cost_micro) == (EndReason.CALLER_DISCONNECTED, RESPONSE_MICRO)
    assert model.closed
