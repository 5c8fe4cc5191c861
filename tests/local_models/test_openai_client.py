"""The official client works against the server as it does against OpenAI."""

import json

import httpx2
import openai
import pytest

from local_models.server import create_app
from tests.local_models.conftest import fake_models, speech_like, wav_of
from tests.local_models.telephone import NOW

BOOK = {
    "type": "function",
    "function": {
        "name": "book_visit",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}


@pytest.fixture
async def openai_client():
    models = fake_models()
    transport = httpx2.ASGITransport(create_app(models, lambda: NOW))
    async with httpx2.AsyncClient(transport=transport) as http:
        yield openai.AsyncOpenAI(base_url="http://127.0.0.1/v1", api_key="none", http_client=http, max_retries=0)
    models.close()


async def test_it_lists_the_models(openai_client):
    assert [model.id async for model in openai_client.models.list()] == [
        "moonshine-tiny-en",
        "piper-joe",
        "parley-receptionist",
    ]


async def test_it_transcribes(openai_client):
    file = ("speech.wav", wav_of(speech_like(1)), "audio/wav")
    answer = await openai_client.audio.transcriptions.create(model="moonshine-tiny-en", file=file)
    assert answer.text == "my number is 415-555-0134"
    assert answer.usage.seconds == 1


async def test_it_streams_speech(openai_client):
    speaking = openai_client.audio.speech.with_streaming_response.create(
        model="piper-joe", voice="joe", input="Hello there.", response_format="pcm"
    )
    async with speaking as response:
        sound = b"".join([chunk async for chunk in response.iter_bytes()])
    assert len(sound) > 24000 * 2 * 0.15


async def test_it_streams_a_conversation_with_its_usage(openai_client):
    stream = await openai_client.chat.completions.create(
        model="parley-receptionist",
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "Hello! How can I help you?"
    assert chunks[-1].usage.completion_tokens == 7


async def test_its_own_accumulator_reads_the_streamed_tool_call(openai_client):
    messages = [
        {"role": "user", "content": "I'd like to book a visit, my name is Sarah Johnson"},
        {"role": "assistant", "content": "Let me read that back: Sarah Johnson. Is that right?"},
        {"role": "user", "content": "yes"},
    ]
    async with openai_client.chat.completions.stream(
        model="parley-receptionist", messages=messages, tools=[BOOK]
    ) as stream:
        answer = await stream.get_final_completion()
    (call,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"name": "Sarah Johnson"}


async def test_a_refusal_is_its_usual_exception(openai_client):
    with pytest.raises(openai.NotFoundError) as refused:
        await openai_client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": "x"}])
    assert refused.value.code == "model_not_found"
