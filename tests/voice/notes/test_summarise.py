"""One note a conversation: written, checked, charged once, or ended with a plain reason."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing import ledger
from billing.audit import audit_ledger
from outbox.messages import Postpone
from tests.fakes.chat_server import Reply, answering, refusing, valid_answer
from tests.voice.notes.conftest import messages, take_up, wallet
from voice.models import CatalogueModel, ModelHealth, Note, Provider, ProviderAdapter, ProviderKey
from voice.notes import summarise
from voice.notes.reading import label_of, text_of
from voice.notes.signals import note_ready
from voice.notes.summarise import give_up, request_note, write_again

MICRO = ledger.MICRO
# 1000 tokens in at 270 and 200 out at 1080 credits a million.
COST_MICRO = 270_000 + 216_000


def start_of(organisation):
    return wallet(organisation).balance


def test_a_kept_conversation_becomes_a_note_with_each_field_and_its_turn(keep, provider, note_of):
    provider(answering(valid_answer()))
    note = note_of(keep())
    text = text_of(note)
    assert (note.state, note.written_by, note.provider_model) == ("ready", "model", "gpt-4.1-2025-04-14")
    assert (text.summary, text.outcome, text.sentiment) == (
        "Dana Scully called to book an appointment.",
        "task_completed",
        "positive",
    )
    assert [(f.name, f.value, f.turn, f.is_collected) for f in text.fields] == [("name", "Dana Scully", 1, False)]
    assert [(action.text, action.turn) for action in text.actions] == [("Prepare the room.", 1)]


def test_a_note_costs_what_its_answer_used_and_nothing_stays_held(keep, provider, note_of, organisation):
    before = start_of(organisation)
    provider(answering(valid_answer()))
    note = note_of(keep())
    assert (note.cost_micro, note.charged_micro) == (COST_MICRO, COST_MICRO)
    assert (wallet(organisation).balance, wallet(organisation).held) == (before - COST_MICRO, 0)
    entry = ledger.entries_of(organisation.pk, limit=1)[0]
    assert (entry.reference, entry.amount_micro) == (f"voice_note:{note.pk}", -COST_MICRO)


def test_cached_tokens_are_charged_at_their_own_rate(keep, provider, note_of):
    usage = {"prompt_tokens": 1000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 400}}
    provider(answering(valid_answer(), usage=usage))
    assert note_of(keep()).charged_micro == 600 * 270 + 400 * 67 + 200


def test_a_model_of_a_provider_of_its_own_is_asked_there_with_the_organisations_key(
    keep, provider, note_of, organisation, settings
):
    server = provider(answering(valid_answer()))
    settings.NOTES_API_KEY, settings.NOTES_API_URL = "", "http://127.0.0.1:1"
    own = Provider.objects.create(name="Own", adapter=ProviderAdapter.PIPELINE, base_url=server.url, api_key="sk-all")
    ProviderKey.objects.create(provider=own, organisation=organisation, api_key="sk-ours")
    CatalogueModel.objects.filter(slug="gpt-4.1").update(provider=own)
    note = note_of(keep())
    assert (note.state, note.written_by, server.keys) == ("ready", "model", ["Bearer sk-ours"])


def test_the_servers_own_key_is_never_shown_to_another_provider(keep, provider, note_of, settings):
    server = provider(answering(valid_answer()))
    azure = Provider.objects.create(
        name="Azure", adapter=ProviderAdapter.AZURE_OPENAI, base_url=server.url, api_key="sk-azure"
    )
    CatalogueModel.objects.filter(slug__in=["gpt-4.1", "gpt-4.1-mini"]).update(provider=azure)
    note = note_of(keep())
    assert (note.model_slug, server.keys) == ("gpt-6-luna", ["Bearer sk-test"])


def test_the_operator_may_pay_for_notes(keep, provider, note_of, organisation, settings):
    settings.NOTES_PAID_BY = "operator"
    before = start_of(organisation)
    provider(answering(valid_answer()))
    note = note_of(keep())
    assert (note.paid_by, note.cost_micro, note.charged_micro) == ("operator", COST_MICRO, 0)
    assert wallet(organisation).balance == before


def test_a_note_is_asked_for_once_however_often_the_call_ends(keep):
    session = keep()
    request_note(session.pk)
    request_note(session.pk)
    assert Note.objects.count() == len(messages("write_note")) == 1


def test_a_message_that_comes_twice_changes_nothing(keep, provider, note_of, organisation):
    server = provider(answering(valid_answer()))
    note = note_of(keep())
    after = wallet(organisation).balance
    take_up(note)
    assert len(server.requests) == 1
    assert wallet(organisation).balance == after


def test_those_who_want_to_know_of_a_note_are_told_once(keep, provider, note_of):
    provider(answering(valid_answer()))
    told = []

    def listen(sender, note_id, **_):
        told.append(note_id)

    note_ready.connect(listen)
    try:
        note = note_of(keep())
        take_up(note)
    finally:
        note_ready.disconnect(listen)
    assert told == [note.pk]


def test_a_listener_that_fails_does_not_undo_a_note(keep, provider, note_of):
    provider(answering(valid_answer()))

    def fail(sender, **_):
        raise OSError

    note_ready.connect(fail)
    try:
        assert note_of(keep()).state == "ready"
    finally:
        note_ready.disconnect(fail)


def test_the_model_is_asked_for_the_strict_schema_without_tools_and_nothing_is_stored_there(keep, provider, note_of):
    server = provider(answering(valid_answer()))
    note_of(keep())
    body = server.requests[0]
    assert body["model"] == "gpt-4.1"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["store"] is False
    assert not {"tools", "tool_choice", "functions"} & set(body)
    assert server.keys == ["Bearer sk-test"]


def test_after_the_models_shutdown_its_successor_writes(keep, provider, note_of, monkeypatch):
    CatalogueModel.objects.filter(slug="gpt-4.1").update(shutdown_on=timezone.localdate())
    server = provider(answering(valid_answer()))
    note = note_of(keep())
    assert (server.requests[0]["model"], note.model_slug) == ("gpt-6-luna", "gpt-6-luna")
    assert server.requests[0]["reasoning_effort"] == "low"


def test_a_model_that_the_provider_no_longer_knows_is_replaced_at_once(keep, provider, note_of):
    server = provider(refusing(404, "model_not_found"), answering(valid_answer()))
    assert note_of(keep()).state == "ready"
    assert [body["model"] for body in server.requests] == ["gpt-4.1", "gpt-6-luna"]


BAD = {
    "not_json": answering("Here is your note: Dana called."),
    "wrong_shape": answering({"summary": "Dana called."}),
    "cut_short": answering('{"summary": "Dana', finish_reason="length"),
    "refused": answering(None, refusal="I cannot help with that."),
    "called_tool": answering(None, tool_calls=[{"id": "1", "function": {"name": "f", "arguments": "{}"}}]),
    "bad_turn": answering(valid_answer(field_turns={"name": 99})),
    "bad_date": answering(valid_answer(follow_up_date="2099-01-01")),
}


@pytest.mark.parametrize(("reason", "bad"), BAD.items(), ids=BAD)
def test_a_bad_answer_is_asked_again_once_and_then_the_note_failed(keep, provider, note_of, organisation, reason, bad):
    before = start_of(organisation)
    server = provider(bad)
    note = note_of(keep())
    assert (note.state, note.reason, note.answers) == ("failed", reason, 2)
    assert len(server.requests) == 2
    assert (note.cost_micro, note.charged_micro) == (2 * COST_MICRO, 0)
    assert (wallet(organisation).balance, wallet(organisation).held) == (before, 0)


def test_the_second_answer_counts_when_it_is_good_and_only_it_is_charged(keep, provider, note_of):
    server = provider(BAD["not_json"], answering(valid_answer()))
    note = note_of(keep())
    assert (note.state, note.reason) == ("ready", "")
    assert (note.cost_micro, note.charged_micro) == (2 * COST_MICRO, COST_MICRO)
    assert "did not answer in the form" in server.requests[1]["messages"][0]["content"]


def test_a_worker_that_died_after_the_first_bad_answer_leaves_one_more(keep, provider, note_of):
    server = provider(BAD["not_json"])
    session = keep()
    request_note(session.pk)
    Note.objects.update(answers=1, reason="not_json")
    assert take_up(Note.objects.get()).state == "failed"
    assert len(server.requests) == 1


LATER = {
    "busy": refusing(429, "rate_limit_exceeded"),
    "provider_failed": refusing(500),
    "key_refused": refusing(401, "invalid_api_key"),
    "unreachable": Reply(hangs_up=True),
}


@pytest.mark.parametrize(("reason", "trouble"), LATER.items(), ids=LATER)
def test_trouble_at_the_providers_is_waited_out(keep, provider, note_of, organisation, reason, trouble):
    server = provider(trouble, answering(valid_answer()))
    note = note_of(keep())
    assert (note.state, note.reason) == ("waiting", reason)
    assert isinstance(note.raised, Postpone)
    assert wallet(organisation).held == 0
    assert len(server.requests) == 1
    assert take_up(note).state == "ready"


def test_what_a_note_finds_of_a_model_counts_for_calls_that_ask_it_as_notes_do(keep, provider, note_of, settings):
    server = provider(refusing(500), answering(valid_answer()))
    settings.OPENAI_API_URL, settings.OPENAI_API_KEY = server.url, settings.NOTES_API_KEY
    note = note_of(keep())
    health = ModelHealth.objects.get(model__slug="gpt-4.1")
    assert (health.failures_in_a_row, health.last_failure_code) == (1, "upstream_unavailable")
    take_up(note)
    health.refresh_from_db()
    assert health.failures_in_a_row == 0 and health.last_success_at


def test_a_key_for_notes_alone_keeps_no_model_away_from_calls(keep, provider, note_of, settings):
    provider(refusing(401, "invalid_api_key"))
    settings.OPENAI_API_KEY = "sk-calls"
    note_of(keep())
    assert not ModelHealth.objects.exists()


@pytest.mark.parametrize("garbage", [b"<html>", b"{}", b'{"choices": [7]}', b"[" * 100_000, b"x" * 600_000])
def test_an_answer_that_is_no_completion_is_trouble_too(keep, provider, note_of, garbage):
    provider(Reply(garbage))
    note = note_of(keep())
    assert (note.state, note.reason) == ("waiting", "provider_failed")


def test_a_server_that_drips_is_not_waited_for_without_end(keep, provider, note_of, monkeypatch):
    monkeypatch.setattr("voice.notes.chat.Endpoint.__init__.__defaults__", (0.3,))
    provider(Reply(b" " * 1000, drips=True))
    assert note_of(keep()).reason == "unreachable"


def test_retry_after_is_honoured_and_pauses_grow(keep, provider, note_of):
    provider(refusing(429, retry_after="900"), refusing(500))
    note = note_of(keep())
    assert note.raised.seconds == 900
    pauses = []
    for _ in range(4):
        note = take_up(note)
        pauses.append(note.raised.seconds)
    assert pauses == [60, 120, 240, 480]


def test_what_the_provider_will_never_answer_failed_at_once(keep, provider, note_of):
    provider(refusing(400, "invalid_request"))
    note = note_of(keep())
    assert (note.state, note.reason) == ("failed", "request_refused")


def test_a_note_that_cannot_be_paid_waits_and_says_so(keep, provider, note_of, organisation):
    server = provider(answering(valid_answer()))
    ledger.adjust(organisation.pk, -1000 * MICRO, key="k", reason="for a test", actor="a test")
    note = note_of(keep())
    assert (note.state, note.reason, server.requests) == ("waiting", "no_credit", [])
    ledger.grant(organisation.pk, 10 * MICRO, key="g", description="for a test")
    assert take_up(note).state == "ready"


def test_a_note_that_could_not_be_written_for_a_day_failed_with_the_last_reason(keep, provider, note_of):
    from voice.note_work import material_of

    provider(refusing(500))
    note = note_of(keep())
    give_up(note.pk, material_of)
    note = Note.objects.get()
    assert (note.state, note.reason) == ("failed", "provider_failed")


def test_a_failed_note_can_be_asked_for_again(keep, provider, note_of):
    provider(refusing(400), answering(valid_answer()))
    note = note_of(keep())
    assert write_again(note) is True
    assert len(messages("write_note")) == 2
    assert take_up(note).state == "ready"
    assert write_again(note) is False


def test_a_rate_that_is_missing_asks_nobody(keep, provider, note_of):
    CatalogueModel.objects.get(slug="gpt-4.1").rates.all().delete()
    server = provider(answering(valid_answer()))
    note = note_of(keep())
    assert (note.state, note.reason, server.requests) == ("waiting", "not_rated", [])


BOOKING = {"name": "Dana Scully", "address": "12 Elm Street", "appointment": "2026-12-01T10:00"}


def test_without_a_transcript_what_was_collected_is_the_note_and_no_model_is_asked(
    keep, provider, note_of, organisation
):
    before = start_of(organisation)
    server = provider(answering(valid_answer()))
    note = note_of(keep(said=(), collected=BOOKING))
    assert (note.state, note.written_by, note.reason) == ("ready", "fields", "no_consent")
    assert {f.name: f.value for f in text_of(note).fields} == BOOKING
    assert (server.requests, wallet(organisation).balance) == ([], before)
    assert "no model was asked" in label_of(note)


def test_what_was_collected_wins_over_what_the_model_read(keep, provider, note_of):
    provider(answering(valid_answer(fields={"name": "Fox Mulder"}, field_turns={"name": 3})))
    note = note_of(keep(collected={"name": "Dana Scully"}))
    field = text_of(note).fields[0]
    assert (field.value, field.turn, field.is_collected) == ("Dana Scully", 1, True)


def test_a_booking_does_not_wait_longer_than_an_hour_for_its_summary(keep, provider, note_of):
    provider(refusing(500))
    note = note_of(keep(collected={"name": "Dana Scully"}))
    assert note.state == "waiting"
    Note.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    note = take_up(note)
    assert (note.state, note.written_by, note.reason) == ("ready", "fields", "provider_failed")


def test_bad_answers_do_not_cost_a_booking_its_note(keep, provider, note_of):
    provider(BAD["not_json"])
    note = note_of(keep(collected={"name": "Dana Scully"}))
    assert (note.state, note.written_by, note.reason) == ("ready", "fields", "not_json")


def test_a_conversation_that_was_deleted_meanwhile_has_no_note(keep, provider, note_of):
    server = provider(answering(valid_answer()))
    session = keep()
    session.transcript.delete()
    note = note_of(session)
    assert (note.state, note.reason, server.requests) == ("failed", "nothing_kept", [])


def test_a_caller_who_is_forgotten_while_the_model_writes_stays_forgotten(
    keep, provider, note_of, organisation, monkeypatch
):
    session = keep()
    before = start_of(organisation)
    provider(answering(valid_answer()))
    ask = summarise.complete

    def forget_and_ask(*asked):
        Note.objects.forget([session.pk])
        return ask(*asked)

    monkeypatch.setattr(summarise, "complete", forget_and_ask)
    note = note_of(session)
    assert (note.state, note.content) == ("forgotten", {})
    assert (wallet(organisation).balance, wallet(organisation).held) == (before, 0)


def test_forgetting_leaves_no_word_of_a_note(keep, provider, note_of):
    provider(answering(valid_answer()))
    session = keep()
    note_of(session)
    assert Note.objects.forget([session.pk]) == 1
    note = Note.objects.get()
    assert "Scully" not in str(note.__dict__)
    assert note.charged_micro == COST_MICRO


def test_a_call_in_which_the_caller_said_nothing_costs_no_note(keep, provider, note_of):
    server = provider(answering(valid_answer()))
    note = note_of(keep(said=(("agent", "Hello, Rosewood Dental, how can I help?"),)))
    assert (note.state, note.reason, server.requests) == ("failed", "nothing_said", [])


def test_the_ledgers_audit_finds_nothing_wrong_with_notes(keep, provider, note_of):
    provider(BAD["not_json"], answering(valid_answer()))
    note_of(keep())
    assert list(audit_ledger()) == []
