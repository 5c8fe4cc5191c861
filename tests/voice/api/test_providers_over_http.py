"""Text and speech over HTTP from the operator's providers: where they are asked, with whose key, in which words."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient

from tests import factories
from tests.fakes.provider_server import Answer, ProviderServer, completion, streamed
from tests.voice.api.conftest import error_of
from voice.models import ApiRequest, CatalogueModel, Provider, ProviderAdapter, ProviderKey
from voice.upstream import entra

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

CHAT, TRANSCRIPTIONS, SPEECH = "/v1/chat/completions", "/v1/audio/transcriptions", "/v1/audio/speech"
PCM = b"\1\0" * 2400


@pytest.fixture
def server():
    with ProviderServer() as server:
        yield server


@pytest.fixture
def served_at(server):
    """Have a model served by a provider at the server, and return the provider."""

    def serve(slug, adapter=ProviderAdapter.PIPELINE, *, url=None, **fields):
        fields = {"name": "Elsewhere", "api_key": "sk-elsewhere", **fields}
        provider = Provider.objects.create(adapter=adapter, base_url=server.url if url is None else url, **fields)
        CatalogueModel.objects.filter(slug=slug).update(provider=provider, provider_model="their-name")
        return provider

    return serve


@pytest.fixture
def azure(served_at, server):
    def serve(slug, **fields):
        return served_at(slug, ProviderAdapter.AZURE_OPENAI, url=server.url.removesuffix("/v1"), **fields)

    return serve


def chat(call, *, key=None, **fields):
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello!"}], **fields}
    return call("POST", CHAT, body, key=key)


def authorization(server):
    return server.requests[0][1].get("authorization")


def test_a_models_own_provider_is_asked_by_its_own_name_with_its_own_key(call, server, served_at):
    served_at("gpt-4.1")
    server.answers.append(completion("Good morning."))
    response = chat(call)
    assert response.json()["choices"][0]["message"]["content"] == "Good morning."
    assert (response["X-Model-Served"], response.get("X-Model-Reason")) == ("gpt-4.1", None)
    assert (server.requests[0][0], authorization(server)) == ("/chat/completions", "Bearer sk-elsewhere")
    assert server.json_of()["model"] == "their-name"


def test_servers_that_are_not_openais_are_asked_in_words_that_all_know(call, server, served_at):
    served_at("gpt-4.1")
    server.answers.append(completion())
    chat(call, max_completion_tokens=50)
    assert server.json_of()["max_tokens"] == 50
    assert not {"max_completion_tokens", "store"} & set(server.json_of())


def test_what_a_provider_reports_is_billed_at_the_catalogues_prices(call, server, served_at):
    served_at("gpt-4.1")
    server.answers.append(completion())
    chat(call)
    row = ApiRequest.objects.get()
    assert row.captured_micro == 60 * 270 + 40 * 675 // 10 + 20 * 1080 and not row.is_estimated


async def test_a_stream_comes_from_the_provider_too(new_key, server, served_at):
    await sync_to_async(served_at)("gpt-4.1")
    server.answers.append(streamed("Good ", "morning."))
    headers = {"Authorization": f"Bearer {await sync_to_async(new_key)()}"}
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    response = await AsyncClient().post(CHAT, body, content_type="application/json", headers=headers)
    assert b"morning." in b"".join([piece async for piece in response])
    assert authorization(server) == "Bearer sk-elsewhere"


def test_an_organisations_own_key_is_used_for_it_alone(call, new_key, organisation, server, served_at, embedded):
    provider = served_at("gpt-4.1", api_key="")
    ProviderKey.objects.create(organisation=organisation, provider=provider, api_key="sk-theirs")
    server.answers.append(completion())
    assert chat(call)["X-Model-Served"] == "gpt-4.1"
    assert authorization(server) == "Bearer sk-theirs"

    embedded(completion())
    response = chat(call, key=new_key(of=factories.make_organisation("Another", credits=10)))
    assert response["X-Model-Served"] == "parley-receptionist"
    assert "needs a key for Elsewhere" in response["X-Model-Reason"]


def test_the_deployments_own_key_goes_to_no_other_address(call, server, served_at, settings):
    settings.OPENAI_API_KEY = "sk-operators-own"
    served_at("gpt-4.1", api_key="", needs_key=False)
    server.answers.append(completion())
    chat(call)
    assert authorization(server) is None


def test_another_account_at_openai_is_asked_where_openai_is(call, served_at, provider):
    openai = provider(completion())
    served_at("gpt-4.1", ProviderAdapter.OPENAI, url="")
    chat(call)
    assert (authorization(openai), openai.json_of()["store"]) == ("Bearer sk-elsewhere", False)


def test_azure_is_asked_by_its_deployment_with_its_own_header(call, server, azure):
    azure("gpt-4.1")
    server.answers.append(completion())
    assert chat(call)["X-Model-Served"] == "gpt-4.1"
    path, headers, _ = server.requests[0]
    assert (path, headers["api-key"], authorization(server)) == ("/openai/v1/chat/completions", "sk-elsewhere", None)
    assert server.json_of()["model"] == "their-name" and "max_completion_tokens" in server.json_of()


def test_azure_with_an_application_is_asked_with_its_token(call, server, azure, monkeypatch):
    monkeypatch.setattr(entra, "LOGIN_URL", server.url.removesuffix("/v1"))
    azure("gpt-4.1", entra_tenant="contoso.example", entra_client_id="app")
    token = Answer([json.dumps({"access_token": "a-token", "expires_in": 3600}).encode()])
    server.answers.extend([token, completion()])
    assert chat(call).status_code == 200
    _, headers, _ = server.requests[1]
    assert headers["authorization"] == "Bearer a-token" and "api-key" not in headers


def test_an_application_that_entra_does_not_know_costs_nothing(call, server, azure, monkeypatch):
    monkeypatch.setattr(entra, "LOGIN_URL", server.url.removesuffix("/v1"))
    azure("gpt-4.1", entra_tenant="fabrikam.example", entra_client_id="app")
    server.answers.append(Answer(status=401))
    assert error_of(chat(call)) == (502, "upstream_unavailable", None)
    assert ApiRequest.objects.get().captured_micro == 0


def test_a_recording_is_written_down_by_the_provider(client, new_key, server, served_at):
    served_at("gpt-4o-transcribe")
    server.answers.append(Answer([json.dumps({"text": "Hello there."}).encode()]))
    body = {"model": "gpt-4o-transcribe", "file": SimpleUploadedFile("call.wav", b"RIFF" + b"\0" * 32_000)}
    response = client.post(TRANSCRIPTIONS, body, headers={"Authorization": f"Bearer {new_key()}"})
    assert response.json() == {"text": "Hello there."}
    assert (server.requests[0][0], authorization(server)) == ("/audio/transcriptions", "Bearer sk-elsewhere")


async def spoken(new_key):
    headers = {"Authorization": f"Bearer {await sync_to_async(new_key)()}"}
    body = {"model": "gpt-4o-mini-tts", "input": "Good morning.", "voice": "coral", "response_format": "pcm"}
    response = await AsyncClient().post(SPEECH, body, content_type="application/json", headers=headers)
    return b"".join([piece async for piece in response])


async def test_a_provider_that_knows_no_events_speaks_as_it_is_and_is_billed_by_what_was_heard(
    new_key, server, served_at
):
    await sync_to_async(served_at)("gpt-4o-mini-tts")
    server.answers.append(Answer([PCM], content_type="audio/pcm"))
    assert await spoken(new_key) == PCM
    assert "stream_format" not in server.json_of()
    row = await ApiRequest.objects.aget()
    assert row.captured_micro > 0 and row.is_estimated


async def test_an_azure_deployment_that_knows_no_events_is_heard_all_the_same(new_key, server, azure):
    await sync_to_async(azure)("gpt-4o-mini-tts")
    server.answers.append(Answer([PCM], content_type="audio/pcm"))
    assert await spoken(new_key) == PCM
    assert server.json_of()["stream_format"] == "sse"


def test_a_provider_of_calls_alone_is_asked_for_no_text(call, served_at):
    served_at("gpt-4.1", ProviderAdapter.OPENAI, url="wss://realtime.example/v1/realtime")
    assert error_of(chat(call))[1] == "model_not_found"
