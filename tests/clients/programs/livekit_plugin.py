"""livekit-plugins-openai: a RealtimeModel's session, driven as an AgentSession drives it."""

import asyncio
import contextlib
from typing import Any

from common import TOOL, TOOL_OUTPUT, Microphone, Report, Task, is_open, task, within_patience
from livekit import rtc
from livekit.agents import APIError, llm, utils
from livekit.plugins import openai

HEARD_MS = 400


@llm.function_tool(name=TOOL["name"], description=TOOL["description"])
async def find_free_times() -> str:
    return TOOL_OUTPUT


class Talk:
    """Plays what the model says at the speed of speech, and stops when the caller speaks."""

    def __init__(self, session: Any, report: Report) -> None:
        self.session, self.report = session, report
        self.microphone = Microphone(self._hears)
        self.speech_started = asyncio.Event()
        self._generations: asyncio.Queue[Any] = asyncio.Queue()
        session.on("generation_created", self._generations.put_nowait)
        session.on("input_speech_started", lambda event: self.speech_started.set())
        session.on("metrics_collected", self._on_metrics)
        session.on("error", self._on_error)

    def _on_metrics(self, metrics: Any) -> None:
        self.report.used(metrics.input_tokens, metrics.output_tokens)

    def _on_error(self, error: Any) -> None:
        self.report.errors.append(code_of(error.error))

    async def _hears(self, pcm: bytes) -> None:
        self.session.push_audio(rtc.AudioFrame(pcm, 24_000, 1, len(pcm) // 2))

    async def answer(self) -> list[Any]:
        """Listen to the next answer to its end; return the tools it called."""
        generation = await within_patience(self._generations.get())
        async for message in generation.message_stream:
            words = [str(piece) async for piece in message.text_stream]
            self.report.answers.append("".join(words))
        return [call async for call in generation.function_stream]

    async def interrupted_answer(self, again: str) -> None:
        generation = await within_patience(self._generations.get())
        async for message in generation.message_stream:
            # Nothing is heard that has not come: a busy machine may not have spoken so far yet.
            await within_patience(heard(message, HEARD_MS))
            self.speech_started.clear()
            self.microphone.say(again)
            await within_patience(self.speech_started.wait())
            # As an AgentSession does with what it was playing.
            self.session.interrupt()
            self.session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=HEARD_MS)
            words = [str(piece) async for piece in message.text_stream]
            self.report.answers.append("".join(words))
            self.report.interrupted = True


async def heard(message: Any, least_ms: int) -> None:
    """Return when so much of a message's audio has come."""
    came_ms = 0.0
    async for frame in message.audio_stream:
        came_ms += frame.duration * 1000
        if came_ms >= least_ms:
            return


async def talk(wanted: Task, session: Any, report: Report) -> None:
    talk = Talk(session, report)
    await session.update_instructions(wanted.instructions)
    await session.update_tools([find_free_times])
    speaking = asyncio.create_task(talk.microphone.run())
    try:
        talk.microphone.say(wanted.question)
        await talk.answer()
        talk.microphone.say(wanted.wish)
        for call in await talk.answer():
            report.tools.append(call.name)
            history = session.chat_ctx.copy()
            history.items.append(
                llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output=TOOL_OUTPUT, is_error=False)
            )
            await session.update_chat_ctx(history)
        await within_patience(session.generate_reply())
        await talk.answer()
        talk.microphone.say(wanted.question)
        await talk.interrupted_answer(wanted.again)
        await talk.answer()
        # Its numbers come after the last words.
        await asyncio.sleep(1)
    finally:
        speaking.cancel()


async def wait_for_the_end(session: Any, report: Report) -> None:
    over = asyncio.Event()

    def on_error(event: Any) -> None:
        report.errors.append(code_of(event.error))
        if not event.recoverable:
            over.set()

    def on_event(event: Any) -> None:
        if event["type"] == "session.created":
            is_open()

    session.on("error", on_error)
    session.on("openai_server_event_received", on_event)
    await within_patience(over.wait())
    # It has given up: it must not come back.
    await asyncio.sleep(3)


def code_of(error: BaseException) -> str:
    body = getattr(error, "body", None)
    code = getattr(body, "code", None) or (body.get("code") if isinstance(body, dict) else None)
    if code:
        return str(code)
    cause: BaseException | None = error
    while cause is not None and not hasattr(cause, "status"):
        cause = cause.__cause__
    return f"HTTP {cause.status}" if cause else type(error).__name__


async def main() -> None:
    wanted, report = task(), Report()
    async with utils.http_context.open():
        # With its own turn detection, which is semantic_vad.
        model = openai.realtime.RealtimeModel(base_url=wanted.url, api_key=wanted.key, model=wanted.model)
        session = model.session()
        try:
            if wanted.mode == "talk":
                await talk(wanted, session, report)
            else:
                await wait_for_the_end(session, report)
        finally:
            # Closing a session that has failed raises what it failed of once more.
            with contextlib.suppress(APIError):
                await session.aclose()
            await model.aclose()
    report.print()


asyncio.run(main())
