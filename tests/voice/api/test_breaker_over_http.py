"""What a request over HTTP finds of a model counts for the next ones, over HTTP and in calls."""

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient

from tests.fakes.provider_server import Answer, completion, refusal, streamed
from tests.voice.api.conftest import error_of
from voice.catalogue import breaker
from voice.models import CatalogueModel, ModelHealth, Provider, ProviderAdapter, ProviderKey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

CHAT, TRANSCRIPTIONS, SPEECH = "/v1/chat/completions", "/v1/audio/transcriptions", "/v1/audio/speech"


def chat(call, **fields):
    return call("POST", CHAT, {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello!"}], **fields})


def health_of(slug="gpt-4.1"):
    return ModelHealth.objects.get(model__slug=slug)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(500), "upstream_unavailable"),
        (refusal(429), "upstream_rate_limited"),
        (refusal(429, code="insufficient_quota"), "upstream_quota"),
        (refusal(401), "upstream_unauthorized"),
        (refusal(404, code="model_not_found"), "upstream_model_not_found"),
        (Answer(drops=True), "upstream_unreachable"),
        (Answer([b"no JSON"]), "upstream_garbage"),
    ],
)
def test_a_failure_is_counted_by_its_name(call, provider, answer, code):
    provider(answer)
    chat(call)
    assert (health_of().failures_in_a_row, health_of().last_failure_code) == (1, code)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_wrong_with_a_request_says_nothing_of_the_model(call, provider, status):
    provider(refusal(status))
    chat(call)
    assert not ModelHealth.objects.exists()


def test_a_model_that_fails_three_times_is_stood_in_for_and_its_answer_says_so(call, provider):
    server = provider(*[refusal(500), completion()] * 3, completion("Good morning."))
    for _ in range(3):
        chat(call)
    response = chat(call)
    assert len(server.requests) == 7
    assert (response.status_code, response["X-Model-Served"]) == (200, "gpt-6-luna")
    assert response["X-Model-Reason"] == "GPT-4.1 is not answering: GPT-6 Luna answers instead."


def test_where_nothing_on_its_list_stands_in_a_program_is_told_to_ask_again(call, provider):
    CatalogueModel.objects.filter(slug="gpt-4.1").update(fallback_slugs=[])
    breaker.failed("gpt-4.1", "upstream_unauthorized")
    server = provider(completion())
    response = chat(call)
    assert error_of(response) == (503, "model_unavailable", None)
    assert response["Retry-After"] and server.requests == []


def test_an_answer_ends_a_row_of_failures(call, provider):
    provider(refusal(500), completion(), completion())
    chat(call)
    chat(call)
    assert health_of().failures_in_a_row == 0 and health_of().last_success_at


def test_a_key_of_an_organisations_own_keeps_nobody_else_away(call, provider, organisation):
    server = provider(refusal(401), completion())
    theirs = Provider.objects.create(name="Elsewhere", adapter=ProviderAdapter.PIPELINE, base_url=server.url)
    ProviderKey.objects.create(organisation=organisation, provider=theirs, api_key="sk-theirs")
    CatalogueModel.objects.filter(slug="gpt-4.1").update(provider=theirs)
    chat(call)
    assert server.requests[0][1]["authorization"] == "Bearer sk-theirs"
    assert not ModelHealth.objects.filter(model__slug="gpt-4.1").exists()


def test_what_runs_beside_us_is_never_kept_away(call, embedded):
    embedded(refusal(503))
    chat(call)
    assert not ModelHealth.objects.exists()


async def test_a_stream_that_breaks_off_is_counted(new_key, provider):
    answer = streamed("Half an answer", usage=None)
    await sync_to_async(provider)(Answer([*answer.pieces, b"data: garbage\n\n"], content_type="text/event-stream"))
    headers = {"Authorization": f"Bearer {await sync_to_async(new_key)()}"}
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    response = await AsyncClient().post(CHAT, body, content_type="application/json", headers=headers)
    assert b"upstream_unavailable" in b"".join([piece async for piece in response])
    health = await sync_to_async(health_of)()
    assert (health.failures_in_a_row, health.last_failure_code) == (1, "upstream_garbage")


def test_speech_and_transcriptions_are_counted_as_well(call, client, new_key, provider):
    provider(refusal(500), refusal(500))
    call("POST", SPEECH, {"model": "gpt-4o-mini-tts", "input": "Hello!"})
    form = {"file": SimpleUploadedFile("talk.wav", b"RIFF" + b"\0" * 60), "model": "gpt-4o-transcribe"}
    client.post(TRANSCRIPTIONS, form, headers={"Authorization": f"Bearer {new_key()}"})
    assert health_of("gpt-4o-mini-tts").failures_in_a_row == health_of("gpt-4o-transcribe").failures_in_a_row == 1
