"""Text over HTTP: held before, charged for what the provider reports, settled however it ends."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from billing import ledger
from tests.fakes.provider_server import CHAT_USAGE, Answer, completion, refusal, streamed
from tests.voice.api.conftest import error_of
from voice.models import ApiRequest, CatalogueModel

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello!"}]
# gpt-4.1 in micro-credits a token: 270 read, 67.5 read again, 1080 written; 60 + 40 and 20 tokens are used.
COST_MICRO = 60 * 270 + 40 * 675 // 10 + 20 * 1080


def chat(call, **fields):
    return call("POST", PATH, {"model": "gpt-4.1", "messages": HELLO, **fields})


def balance(organisation):
    return ledger.balance_of(organisation.id)


@pytest.fixture
def stream(new_key):
    """Open a stream as an asynchronous server answers it, and return its pieces and the request's row."""
    key = new_key()

    async def open_stream(**fields):
        body = {"model": "gpt-4.1", "messages": HELLO, "stream": True, **fields}
        return await AsyncClient().post(
            PATH, body, content_type="application/json", headers={"Authorization": f"Bearer {key}"}
        )

    return open_stream


async def text_of(response):
    return b"".join([piece async for piece in response]).decode()


def test_the_providers_answer_comes_back_as_it_is(call, provider):
    server = provider(completion("Good morning."))
    response = chat(call)
    assert response.json()["choices"][0]["message"]["content"] == "Good morning."
    assert response.json()["usage"] == CHAT_USAGE
    assert (response["X-Model-Served"], response["Cache-Control"]) == ("gpt-4.1", "no-store")
    path, headers, _ = server.requests[0]
    assert (path, headers["authorization"]) == ("/chat/completions", "Bearer sk-operators-own")


def test_it_costs_what_it_used_and_frees_the_rest(call, provider, organisation):
    provider(completion())
    chat(call)
    row = ApiRequest.objects.get()
    assert (row.captured_micro, row.uncollected_micro, row.is_estimated) == (COST_MICRO, 0, False)
    assert sum(line["amount_micro"] for line in row.lines) == COST_MICRO < row.held_micro
    assert balance(organisation).balance_micro == 1000 * ledger.MICRO - COST_MICRO
    assert balance(organisation).held_micro == 0


def test_the_entry_says_what_it_was_for(call, provider, organisation):
    provider(completion())
    chat(call)
    entry = ledger.entries_of(organisation.id, limit=1)[0]
    assert (entry.kind, entry.reference, entry.description) == (
        "usage", ApiRequest.objects.get().reference, "Chat completion by gpt-4.1",
    )  # fmt: skip


def test_only_what_concerns_the_answer_is_passed_on(call, provider):
    server = provider(completion())
    chat(call, temperature=0.5, max_tokens=50, user="maria@example.com", metadata={"a": "b"}, stop=["x"], n=1)
    assert server.json_of() == {
        "model": "gpt-4.1", "messages": HELLO, "temperature": 0.5, "stop": ["x"], "max_completion_tokens": 50,
        "store": False,
    }  # fmt: skip


def test_without_a_key_of_the_operators_our_own_model_answers(call, embedded):
    server = embedded(completion())
    response = chat(call)
    assert response["X-Model-Served"] == "parley-receptionist"
    assert "needs an OpenAI key" in response["X-Model-Reason"]
    assert server.json_of()["model"] == "parley-receptionist"
    assert ApiRequest.objects.get().captured_micro == COST_MICRO


@pytest.mark.parametrize("model", ["gpt-realtime-mini", "gpt-realtime"])
def test_a_realtime_model_is_voice_only(call, model):
    response = chat(call, model=model)
    assert error_of(response) == (400, "model_is_voice_only", None)
    assert "voice-only" in response.json()["error"]["message"]
    assert "/v1/realtime" in response.json()["error"]["message"]


@pytest.mark.parametrize("model", ["gpt-9", "whisper-1", "gpt-4o-mini-tts"])
def test_a_model_that_writes_no_text_is_not_found(call, model):
    response = chat(call, model=model)
    assert error_of(response) == (404, "model_not_found", None)
    assert "gpt-4.1" in response.json()["error"]["message"]


def test_a_wallet_that_is_nearly_empty_makes_the_answer_shorter(call, provider, organisation):
    server = provider(completion())
    left_micro = 200_000
    ledger.adjust(organisation.id, left_micro - 1000 * ledger.MICRO, key="k", reason="For a test", actor="test")
    assert chat(call).status_code == 200
    most_tokens = server.json_of()["max_completion_tokens"]
    assert 64 <= most_tokens <= left_micro // 1080
    assert ApiRequest.objects.get().held_micro == left_micro


def test_an_empty_wallet_asks_nobody(call, provider, organisation):
    server = provider()
    ledger.adjust(organisation.id, 1000 - 1000 * ledger.MICRO, key="k", reason="For a test", actor="test")
    assert error_of(chat(call)) == (402, "out_of_credit", None)
    assert server.requests == [] and not ApiRequest.objects.exists()


def test_a_keys_budget_counts_text_too(call, provider, new_key):
    provider(completion(), completion())
    key = new_key(monthly_budget_micro=COST_MICRO + 1000)
    body = {"model": "gpt-4.1", "messages": HELLO, "max_tokens": 20}
    assert call("POST", PATH, body, key=key).status_code == 200
    assert error_of(call("POST", PATH, body, key=key)) == (402, "api_key_budget_reached", None)


@pytest.mark.parametrize(
    ("limits", "code"), [({"scopes": ["realtime"]}, "scope_missing"), ({"allowed_models": ["x"]}, "model_not_allowed")]
)
def test_a_key_is_held_to_its_limits(call, new_key, limits, code):
    response = call("POST", PATH, {"model": "gpt-4.1", "messages": HELLO}, key=new_key(**limits))
    assert error_of(response) == (403, code, None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages.0.content"),
        ({"temperature": 3}, "temperature"),
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"model": ""}, "model"),
    ],
)
def test_a_wrong_field_is_named_and_asks_nobody(call, provider, fields, param):
    server = provider()
    status, _, named = error_of(chat(call, **fields))
    assert (status, named) == (400, param)
    assert server.requests == [] and not ApiRequest.objects.exists()


def test_what_is_wrong_with_the_request_itself_is_told_in_the_providers_words(call, provider, organisation):
    provider(refusal(400, "Invalid schema.", code="invalid_json_schema", param="response_format"))
    response = chat(call, response_format={"type": "json_schema"})
    assert error_of(response) == (400, "invalid_json_schema", "response_format")
    assert response.json()["error"]["message"] == "Invalid schema."
    assert (balance(organisation).held_micro, ApiRequest.objects.get().captured_micro) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (refusal(401, "Incorrect API key provided: sk-operators-own"), 502, "upstream_unavailable"),
        (refusal(429, "Rate limit"), 503, "upstream_busy"),
        (refusal(500), 502, "upstream_unavailable"),
        (Answer(drops=True), 502, "upstream_unavailable"),
        (Answer([b"no JSON"]), 502, "upstream_unavailable"),
    ],
)
def test_a_provider_that_fails_costs_nothing(call, provider, organisation, answer, status, code):
    provider(answer)
    response = chat(call)
    assert error_of(response) == (status, code, None)
    assert b"sk-operators-own" not in response.content
    assert balance(organisation).balance_micro == 1000 * ledger.MICRO
    assert balance(organisation).held_micro == 0


def test_a_stream_that_cannot_begin_has_a_status_of_its_own(call, provider, organisation):
    provider(refusal(500))
    assert error_of(chat(call, stream=True)) == (502, "upstream_unavailable", None)
    assert balance(organisation).held_micro == 0


def test_a_provider_that_reports_nothing_is_estimated(call, provider):
    provider(completion("x" * 300, usage=None))
    chat(call)
    row = ApiRequest.objects.get()
    assert row.is_estimated and row.captured_micro > 0


# Streams.


async def test_a_stream_comes_in_the_providers_own_pieces(stream, provider):
    server = await sync_to_async(provider)(streamed("Good ", "morning."))
    response = await stream()
    text = await text_of(response)
    said = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in said) == "Good morning."
    assert text.endswith("data: [DONE]\n\n") and "prompt_tokens" not in text
    assert response["Content-Type"].startswith("text/event-stream")
    assert server.json_of()["stream_options"] == {"include_usage": True}
    row = await ApiRequest.objects.aget()
    assert (row.captured_micro, row.is_estimated) == (COST_MICRO, False)


async def test_who_asks_for_the_usage_of_a_stream_sees_what_is_billed(stream, provider):
    await sync_to_async(provider)(streamed("Hi"))
    text = await text_of(await stream(stream_options={"include_usage": True}))
    usages = [json.loads(line[6:])["usage"] for line in text.splitlines() if line.startswith("data: {")]
    assert usages == [None, CHAT_USAGE]
    assert (await ApiRequest.objects.aget()).captured_micro == COST_MICRO


async def test_a_client_that_leaves_pays_for_what_was_delivered(stream, provider, organisation):
    server = await sync_to_async(provider)(streamed("word " * 30, usage=None, holds=True))
    pieces = aiter(await stream())
    assert b"word" in await anext(pieces)
    await pieces.aclose()
    row = await ApiRequest.objects.aget()
    assert row.is_estimated and 0 < row.captured_micro < row.held_micro
    assert row.settled_at and (await sync_to_async(balance)(organisation)).held_micro == 0
    # And the provider was told to stop.
    assert await asyncio.to_thread(server.hung_up.wait, 5)


async def test_a_stream_that_breaks_off_says_so_and_is_paid_as_far_as_it_came(stream, provider):
    answer = streamed("Half an answer", usage=None)
    await sync_to_async(provider)(Answer([*answer.pieces, b"data: garbage\n\n"], content_type="text/event-stream"))
    text = await text_of(await stream())
    last = json.loads(text.strip().rpartition("data: ")[2])
    assert last["error"]["code"] == "upstream_unavailable"
    row = await ApiRequest.objects.aget()
    assert row.is_estimated and row.captured_micro > 0


async def test_a_provider_that_hangs_up_in_mid_stream_is_told_of_in_the_stream(stream, provider):
    answer = streamed("Half an answer", usage=None)
    answer.headers["Content-Length"] = "9999"
    await sync_to_async(provider)(answer)
    text = await text_of(await stream())
    assert "Half an answer" in text
    assert json.loads(text.strip().rpartition("data: ")[2])["error"]["code"] == "upstream_unavailable"
    assert (await ApiRequest.objects.aget()).is_estimated


async def test_a_repeated_stream_is_replayed_and_charged_once(new_key, provider):
    key = await sync_to_async(new_key)()
    server = await sync_to_async(provider)(streamed("Once."))

    async def ask():
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
        body = {"model": "gpt-4.1", "messages": HELLO, "stream": True}
        return await AsyncClient().post(PATH, body, content_type="application/json", headers=headers)

    first = await text_of(await ask())
    second = await ask()
    assert second.content.decode() == first and second["Content-Type"].startswith("text/event-stream")
    assert len(server.requests) == await ApiRequest.objects.acount() == 1


async def test_a_stream_that_was_given_up_frees_its_idempotency_key(new_key, provider):
    key = await sync_to_async(new_key)()
    await sync_to_async(provider)(streamed("x", usage=None, holds=True), streamed("Whole."))

    async def ask():
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
        body = {"model": "gpt-4.1", "messages": HELLO, "stream": True}
        return await AsyncClient().post(PATH, body, content_type="application/json", headers=headers)

    pieces = aiter(await ask())
    await anext(pieces)
    await pieces.aclose()
    assert "Whole." in await text_of(await ask())


def test_an_answer_that_is_too_dear_for_its_hold_is_never_overcharged(call, provider, organisation):
    provider(completion(usage={"prompt_tokens": 100_000, "completion_tokens": 100_000}))
    chat(call, max_tokens=10)
    row = ApiRequest.objects.get()
    assert row.captured_micro == row.held_micro and row.uncollected_micro > 0
    assert balance(organisation).balance_micro == 1000 * ledger.MICRO - row.held_micro


def test_a_model_that_is_gone_is_replaced_by_its_successor(call, provider):
    server = provider(completion())
    CatalogueModel.objects.filter(slug="gpt-4.1").update(status="retired")
    assert chat(call)["X-Model-Served"] == "gpt-6-luna"
    assert server.json_of()["model"] == "gpt-6-luna"
