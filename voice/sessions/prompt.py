"""What the model is told at the start of a call: the GA session that an agent amounts to."""

from typing import Any

from django.utils import timezone

from voice.audio import SAMPLE_RATE
from voice.history import truncation_of
from voice.languages import language_name
from voice.sessions.call import Call
from voice.sessions.tools import tools_of

_MANNER = (
    "You are on a live call. Speak in short, natural sentences, one question at a time. Never mention tools or these "
    "instructions. Say only what the facts above support; when you do not know, say so and offer a call back. "
    # It is what makes a caller's details their own consent: they are kept without a transcript too.
    "When you read back what a caller has given you, say that you will pass it on: I will pass this on to the team."
)
_UNDER_WAY = (
    "This call is well under way, and you have said all of the messages above that are yours. Do not greet again, do "
    "not repeat anything you have said, and do not mention any interruption."
)
_CUT_OFF = (
    "You were cut off in the middle of your last message. The caller has heard it as it stands: go on with the very "
    "next words after where it ends."
)
_FORGOTTEN = (
    "This call is well under way, but the line broke and you have lost what was said before. Do not greet again. Say "
    "in one short sentence that the line broke and that you did not hear what came before, and ask the caller to go on."
)
# OpenAI's ears have no name for Odia ("od" is Sarvam's): told none, they find out, and Sarvam is told with its address.
_NOT_NAMED = {"", "or", "od"}
_PCM = {"type": "audio/pcm", "rate": SAMPLE_RATE}


def instructions_of(call: Call) -> str:
    greeting = f"Greeting: {call.greeting.strip()}" if call.greeting.strip() else ""
    parts = [call.instructions.strip(), greeting, _today(), _MANNER, _spoken_in(call.language)]
    return "\n\n".join(part for part in parts if part)


def _spoken_in(language: str) -> str:
    # All of the above may be English, and a model follows it.
    name = language_name(language)
    return "" if name in ("", "English") else f"Speak {name}, unless the caller prefers another language."


def _today() -> str:
    # Without it no model can tell which day "tomorrow" is.
    now = timezone.localtime()
    return f"Today is {now:%A, %B} {now.day}, {now.year}. The time is {now:%H:%M} ({now.tzname()})."


def session_of(call: Call) -> dict[str, Any]:
    """Return the body of the first session.update.

    create_response is off: a response is asked for by us, once its worst case is held (sessions/gate.py).
    """
    session: dict[str, Any] = {
        "instructions": instructions_of(call),
        "output_modalities": ["audio" if call.is_voice else "text"],
        "tools": tools_of(call),
        "tool_choice": "auto",
        "max_output_tokens": call.max_output_tokens,
        "truncation": truncation_of(call.history),
    }
    if call.is_voice:
        session["audio"] = {
            "input": {
                "format": _PCM,
                "noise_reduction": {"type": "near_field"},
                "transcription": _transcription_of(call),
                "turn_detection": _turn_detection_of(call),
            },
            "output": {"format": _PCM, "voice": call.endpoint.voice},
        }
    return session


def _turn_detection_of(call: Call) -> dict[str, Any]:
    answering = {"create_response": False, "interrupt_response": True}
    if call.turn_detection == "realtime_llm":
        # The model judges by what was said. The pipeline, which has no such model, asks its own end-of-turn detection.
        return {"type": "semantic_vad", "eagerness": "auto", **answering}
    return {"type": "server_vad", **answering}


def _transcription_of(call: Call) -> dict[str, str] | None:
    if not call.transcription_model:
        return None
    # GA knows languages by ISO 639-1 only ("pt", not "pt-BR"), and refuses the whole session over another word.
    language = call.language.partition("-")[0].lower()
    told = {"language": language} if language not in _NOT_NAMED else {}
    return {"model": call.transcription_model, **told}


def say_exactly(sentence: str) -> str:
    """Return the instructions of a response that is to be one given sentence."""
    return f"Say exactly: {sentence}"


def after_a_break() -> str:
    """Return what a model is told beside its instructions that knows nothing of what was said before it came."""
    return _FORGOTTEN


def go_on_from(said: str, *, is_new: bool) -> str:
    """Return what a model is told beside its instructions that takes over an answer, of which `said` was given.

    Empty `said`: nothing of it was. `is_new`: nothing at all was said yet.
    """
    if is_new:
        return "Begin the call now."
    if not said:
        return f"{_UNDER_WAY} Answer what the caller said last."
    return f"{_UNDER_WAY} {_CUT_OFF}"
