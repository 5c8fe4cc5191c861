"""openai-python: AsyncOpenAI().realtime.connect()."""

import asyncio
import base64
import time
from typing import Any

from common import TOOL, TOOL_OUTPUT, Microphone, Report, Task, is_open, task, within_patience
from openai import AsyncOpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus


class Talk:
    """A conversation in which the server's turn detection decides when the caller has finished."""

    def __init__(self, connection: Any, report: Report) -> None:
        self.connection, self.report = connection, report
        self.microphone = Microphone(self._hears)
        self._events: asyncio.Queue[Any] = asyncio.Queue()

    async def _hears(self, pcm: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def read(self) -> None:
        async for event in self.connection:
            if event.type == "response.done" and event.response.usage:
                usage = event.response.usage
                self.report.used(usage.input_tokens, usage.output_tokens)
            elif event.type == "response.output_audio_transcript.done":
                self.report.answers.append(event.transcript)
            elif event.type == "response.output_text.done":
                self.report.answers.append(event.text)
            elif event.type == "error":
                self.report.errors.append(event.error.code)
            await self._events.put(event)

    async def until(self, *kinds: str) -> Any:
        while (event := await within_patience(self._events.get())).type not in kinds:
            pass
        return event

    async def answer_to(self, recording: str) -> Any:
        self.microphone.say(recording)
        return (await self.until("response.done")).response


async def talk(wanted: Task, connection: Any, report: Report) -> None:
    await connection.session.update(
        session={
            "type": "realtime",
            "instructions": wanted.instructions,
            "tools": [TOOL],
            "audio": {
                "input": {
                    "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en"},
                    "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
                }
            },
        }
    )
    talk = Talk(connection, report)
    reading = asyncio.create_task(talk.read())
    updated = await talk.until("session.updated", "error")
    assert updated.session.audio.input.turn_detection.create_response is True, updated
    speaking = asyncio.create_task(talk.microphone.run())
    try:
        await talk.answer_to(wanted.question)
        await call_tool(talk, wanted)
        await interrupt(talk, wanted)
        await type_instead(talk)
    finally:
        speaking.cancel()
        reading.cancel()


async def call_tool(talk: Talk, wanted: Task) -> None:
    response = await talk.answer_to(wanted.wish)
    for item in response.output:
        if item.type == "function_call":
            talk.report.tools.append(item.name)
            output = {"type": "function_call_output", "call_id": item.call_id, "output": TOOL_OUTPUT}
            await talk.connection.conversation.item.create(item=output)
    await talk.connection.response.create()
    await talk.until("response.done")


async def interrupt(talk: Talk, wanted: Task) -> None:
    talk.microphone.say(wanted.question)
    delta = await talk.until("response.output_audio.delta")
    heard_since = time.monotonic()
    talk.microphone.say(wanted.again)
    await talk.until("input_audio_buffer.speech_started")
    heard_ms = int((time.monotonic() - heard_since) * 1000)
    await talk.connection.conversation.item.truncate(
        item_id=delta.item_id, content_index=0, audio_end_ms=min(heard_ms, 500)
    )
    truncated = await talk.until("conversation.item.truncated")
    talk.report.interrupted = truncated.item_id == delta.item_id
    await talk.until("response.created")
    await talk.until("response.done")


async def type_instead(talk: Talk) -> None:
    """The same conversation in writing, and an item of it read back."""
    item = {"id": "typed_1", "type": "message", "role": "user"}
    content = [{"type": "input_text", "text": "What time do you open on Saturday?"}]
    await talk.connection.conversation.item.create(item={**item, "content": content})
    await talk.until("conversation.item.done", "error")
    await talk.connection.response.create(response={"output_modalities": ["text"], "max_output_tokens": 200})
    await talk.until("response.done")
    await talk.connection.conversation.item.retrieve(item_id="typed_1")
    retrieved = await talk.until("conversation.item.retrieved", "error")
    assert retrieved.item.content[0].text == content[0]["text"]


async def wait_for_the_end(connection: Any, report: Report) -> None:
    async for event in connection:
        if event.type == "session.created":
            is_open()
        elif event.type == "error":
            report.errors.append(event.error.code)


async def main() -> None:
    wanted, report = task(), Report()
    client = AsyncOpenAI(base_url=wanted.url, api_key=wanted.key)
    try:
        async with client.realtime.connect(model=wanted.model) as connection:
            if wanted.mode == "talk":
                await talk(wanted, connection, report)
            else:
                await within_patience(wait_for_the_end(connection, report))
    except InvalidStatus as refused:
        report.errors.append(f"HTTP {refused.response.status_code}")
    except ConnectionClosed as closed:
        report.errors.append(f"closed {closed.code}")
    report.print()


asyncio.run(main())
