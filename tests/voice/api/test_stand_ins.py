"""A model that fails before anything was sent is stood in for in the same request, billed by what served."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from django.utils import timezone

from billing import ledger
from tests.fakes.provider_server import CHAT_USAGE, Answer, completion, refusal, streamed
from tests.voice.api.conftest import error_of
from voice.catalogue.rates import rate_card
from voice.metering.http_usage import quantities_of_chat
from voice.metering.rating import rate
from voice.models import ApiRequest, CatalogueModel, ModelHealth, Rate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

CHAT, TRANSCRIPTIONS, SPEECH = "/v1/chat/completions", "/v1/audio/transcriptions", "/v1/audio/speech"
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello!"}]}


def chat(call, **fields):
    return call("POST", CHAT, {**HELLO, **fields})


@pytest.mark.parametrize(
    "failure", [refusal(500), refusal(401), refusal(429), Answer(drops=True), Answer([b"garbage"])]
)
def test_another_model_answers_and_the_answer_says_which_and_why(call, provider, failure):
    server = provider(failure, completion("Good morning."))
    response = chat(call)
    assert response.json()["choices"][0]["message"]["content"] == "Good morning."
    assert (response.status_code, response["X-Model-Served"]) == (200, "gpt-6-luna")
    # One whose key is refused is kept away from at once.
    why = "is not answering" if failure.status == 401 else "did not answer"
    assert response["X-Model-Reason"] == f"GPT-4.1 {why}: GPT-6 Luna answers instead."
    assert [json.loads(body)["model"] for _, _, body in server.requests] == ["gpt-4.1", "gpt-6-luna"]
    assert ModelHealth.objects.get(model__slug="gpt-4.1").failures_in_a_row == 1


def test_what_failed_costs_nothing_and_what_served_its_own_price(call, provider, organisation):
    provider(refusal(500), completion())
    chat(call)
    failed, served = ApiRequest.objects.order_by("created_at")
    price_micro = rate(quantities_of_chat(CHAT_USAGE), rate_card("gpt-6-luna", timezone.localdate())).total_micro
    assert (failed.model_asked, failed.model_served, failed.captured_micro) == ("gpt-4.1", "gpt-4.1", 0)
    assert (served.model_asked, served.model_served) == ("gpt-4.1", "gpt-6-luna")
    assert served.captured_micro == price_micro > 0
    balance = ledger.balance_of(organisation.id)
    assert (balance.balance_micro, balance.held_micro) == (1000 * ledger.MICRO - served.captured_micro, 0)


def test_it_is_tried_once_and_the_first_models_failure_is_told(call, provider, organisation):
    server = provider(refusal(429), refusal(500), completion())
    assert error_of(chat(call)) == (503, "upstream_busy", None)
    assert len(server.requests) == 2
    assert ledger.balance_of(organisation.id).available_micro == 1000 * ledger.MICRO


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_wrong_with_the_request_is_told_and_nobody_else_is_asked(call, provider, status):
    server = provider(refusal(status, "Too many tools."), completion())
    assert chat(call).json()["error"]["message"] == "Too many tools."
    assert len(server.requests) == 1


def test_what_the_stand_in_does_not_take_is_told_as_the_first_ones_failure(call, provider):
    provider(refusal(500), refusal(400, "This model cannot think that hard."))
    assert error_of(chat(call)) == (502, "upstream_unavailable", None)


def test_a_model_without_stand_ins_is_not_stood_in_for_by_the_embedded_one(call, provider, embedded):
    CatalogueModel.objects.filter(slug="gpt-4.1").update(fallback_slugs=[])
    provider(refusal(500))
    ours = embedded(completion())
    assert error_of(chat(call)) == (502, "upstream_unavailable", None)
    assert ours.requests == []


def test_a_stand_in_that_cannot_be_paid_is_not_asked(call, provider):
    # A thousand times as dear as all the credits there are.
    Rate.objects.filter(model__slug="gpt-6-luna").update(micro_per_million=10**15)
    server = provider(refusal(500), completion())
    assert error_of(chat(call)) == (502, "upstream_unavailable", None)
    assert len(server.requests) == 1


async def test_a_stream_that_does_not_begin_is_begun_by_another_model(new_key, provider):
    await sync_to_async(provider)(refusal(503), streamed("Good ", "morning."))
    headers = {"Authorization": f"Bearer {await sync_to_async(new_key)()}"}
    body = {**HELLO, "stream": True}
    response = await AsyncClient().post(CHAT, body, content_type="application/json", headers=headers)
    text = b"".join([piece async for piece in response]).decode()
    assert "Good " in text and "error" not in text
    assert response["X-Model-Served"] == "gpt-6-luna"


async def test_a_stream_that_breaks_off_is_not_begun_again(new_key, provider):
    half = streamed("Half an answer", usage=None)
    broken = Answer([*half.pieces, b"data: garbage\n\n"], content_type="text/event-stream")
    server = await sync_to_async(provider)(broken, streamed("Another"))
    headers = {"Authorization": f"Bearer {await sync_to_async(new_key)()}"}
    response = await AsyncClient().post(
        CHAT, {**HELLO, "stream": True}, content_type="application/json", headers=headers
    )
    assert b"upstream_unavailable" in b"".join([piece async for piece in response])
    assert len(server.requests) == 1


async def test_speech_is_spoken_by_the_embedded_voice_where_the_catalogue_says_so(new_key, provider, embedded):
    await sync_to_async(provider)(refusal(500))
    ours = await sync_to_async(embedded)(Answer([b"RIFF" + b"\0" * 400], content_type="audio/wav"))
    headers = {"Authorization": f"Bearer {await sync_to_async(new_key)()}"}
    body = {"model": "gpt-4o-mini-tts", "input": "Hello!"}
    response = await AsyncClient().post(SPEECH, body, content_type="application/json", headers=headers)
    assert b"".join([piece async for piece in response]).startswith(b"RIFF")
    assert (response["Content-Type"], response["X-Model-Served"]) == ("audio/wav", "parley-embedded-speech")
    assert len(ours.requests) == 1


def test_speech_in_a_format_that_the_embedded_voice_does_not_speak_fails_as_before(call, provider, embedded):
    provider(refusal(500))
    ours = embedded()
    body = {"model": "gpt-4o-mini-tts", "input": "Hello!", "response_format": "mp3"}
    assert error_of(call("POST", SPEECH, body)) == (502, "upstream_unavailable", None)
    assert ours.requests == []


def test_a_recording_is_given_whole_to_the_model_that_stands_in(client, new_key, provider):
    CatalogueModel.objects.filter(slug="gpt-4o-transcribe").update(fallback_slugs=["gpt-4o-mini-transcribe"])
    server = provider(refusal(500), Answer([b'{"text": "Hello."}']))
    form = {"file": SimpleUploadedFile("talk.wav", b"RIFF" + b"\0" * 60), "model": "gpt-4o-transcribe"}
    response = client.post(TRANSCRIPTIONS, form, headers={"Authorization": f"Bearer {new_key()}"})
    assert (response.json()["text"], response["X-Model-Served"]) == ("Hello.", "gpt-4o-mini-transcribe")
    assert server.form_of(0)["file"] == server.form_of(1)["file"] != b""
