"""Build, sniff and parse OpenAI Realtime GA events, the one language spoken inside voice.

A frame is one event as UTF-8 JSON in bytes. Audio frames arrive fifty times a second in every call, so `event_type` and
`audio_delta` read only the bytes they need and fall back to a full parse for any frame written in an unusual way.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import pybase64

# OpenAI takes 15 MiB of base64 in one append; the rest of such a frame is small.
MAX_FRAME_BYTES = 16 * 1024 * 1024

# A leading "type", or one behind a few plain string or number members ("event_id" first is common). The groups are
# atomic, so a frame that does not match costs one pass over its beginning and no more.
_LEADING_TYPE = re.compile(
    rb'\s*\{\s*(?>(?>"(?!type")[^"\\]{1,64}"\s*:\s*(?>"[^"\\]*"|-?[0-9]+)\s*,\s*){0,8})"type"\s*:\s*"([^"\\]{1,128})"'
)
AUDIO_DELTA = "response.output_audio.delta"
# How nearly every frame of a response begins: found so, its type need not be looked for.
_AUDIO_DELTA_START = b'{"type":"response.output_audio.delta",'
_DELTA = b'"delta":"'
_ITEM_ID = b'"item_id":"'
_ID_BYTES_MAX = 128
# By then the audio of a delta has begun.
_HEAD_BYTES_MAX = 1024


class InvalidEvent(ValueError):
    """A frame that is no event; `reason` is one of too_long, not_json, not_an_object, no_type, bad_audio."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AudioDelta(NamedTuple):
    """A piece of an assistant's speech: of which item it is, and its PCM."""

    item_id: str
    pcm: bytes


def event_type(frame: bytes) -> str:
    """Return a frame's type, whatever the order of its keys; raise InvalidEvent when it has none.

    A type found at the front is believed without reading the rest: a frame that says "type" twice gives its first.
    Frames from outside whose type decides about money or permission are to be read with `parse`.
    """
    if frame.startswith(_AUDIO_DELTA_START):
        return AUDIO_DELTA
    leading = _LEADING_TYPE.match(frame)
    if leading is None:
        return str(parse(frame)["type"])
    try:
        return leading[1].decode()
    except UnicodeDecodeError:
        raise InvalidEvent("not_json") from None


def is_audio_delta(frame: bytes) -> bool:
    """Say whether a frame is a response.output_audio.delta as they are nearly always written: in doubt, no."""
    return frame.startswith(_AUDIO_DELTA_START) and frame.endswith(b"}")


def parse(frame: bytes) -> dict[str, Any]:
    """Return a frame as a dict with a non-empty string "type"; raise InvalidEvent for anything else."""
    if len(frame) > MAX_FRAME_BYTES:
        raise InvalidEvent("too_long")
    event = _read_json(frame)
    if not isinstance(event, dict):
        raise InvalidEvent("not_an_object")
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidEvent("no_type")
    return event


def dump(event: Mapping[str, Any]) -> bytes:
    """Return an event as a compact frame. Put "type" first in the mapping: readers find it there at once."""
    return _encode(event).encode()


def append_audio(pcm: bytes) -> bytes:
    return b'{"type":"input_audio_buffer.append","audio":"' + pybase64.b64encode(pcm) + b'"}'


def audio_delta(frame: bytes) -> AudioDelta:
    """Read a response.output_audio.delta; raise InvalidEvent when its item or its audio cannot be read."""
    start = frame.find(_DELTA) + len(_DELTA)
    end = frame.find(b'"', start)
    item_id = _plain_id(frame, _ITEM_ID)
    # A backslash in base64 is none of its letters: an escaped slash is read by the full parse.
    if start < len(_DELTA) or end < 0 or not item_id or frame.find(b"\\", start, end) >= 0:
        return _audio_delta_of(parse(frame))
    return AudioDelta(item_id, decode_audio(frame[start:end]))


class SpeechReader:
    """Reads pieces of speech, one after the other, as they are nearly always written.

    Those of an item differ in their event id and their audio alone: what stands between the two, with the item's id in
    it, is remembered, and not read again fifty times a second.
    """

    __slots__ = ("_at", "_between", "_item_id")

    def __init__(self) -> None:
        self._between, self._item_id = b"", ""
        # Where it stands while event ids are of one length.
        self._at = 0

    def read(self, frame: bytes) -> AudioDelta | None:
        """Return the piece of speech in a frame; None for any other frame, and where in doubt."""
        if not frame.startswith(_AUDIO_DELTA_START):
            return None
        between = self._between
        if between and frame.startswith(between, self._at) and frame.endswith(b'"}'):
            try:
                # The usual letters alone: should anything else stand behind the audio, this is none.
                pcm = pybase64.b64decode(frame[self._at + len(between) : -2], None, True)
            except ValueError:
                return self._read_first(frame)
            # As the type's own constructor, which is a function of Python's.
            return None if len(pcm) % 2 else tuple.__new__(AudioDelta, (self._item_id, pcm))
        return self._read_first(frame) if frame.endswith(b"}") else None

    def _read_first(self, frame: bytes) -> AudioDelta | None:
        try:
            delta = audio_delta(frame)
        except InvalidEvent:
            return None
        start, end = frame.find(_ITEM_ID), frame.find(_DELTA) + len(_DELTA)
        between = frame[start:end] if 0 <= start < end <= _HEAD_BYTES_MAX else b""
        # An event id in there would be another one in the next piece; then nothing is remembered.
        self._between = b"" if b"\\" in between or b'"event_id"' in between else between
        self._at, self._item_id = start, delta.item_id
        return delta


def decode_audio(base64_audio: bytes | str) -> bytes:
    """Return the PCM of a base64 field; raise InvalidEvent when it is no base64 or cuts a sample in half."""
    try:
        pcm = pybase64.b64decode(base64_audio, validate=True)
    except ValueError:
        raise InvalidEvent("bad_audio") from None
    if len(pcm) % 2:
        raise InvalidEvent("bad_audio")
    return pcm


def session_update(session: Mapping[str, Any]) -> bytes:
    return dump({"type": "session.update", "session": {"type": "realtime", **session}})


def user_text(text: str, item_id: str | None = None) -> bytes:
    return _message("user", text, item_id)


def system_text(text: str) -> bytes:
    return _message("system", text, None)


def response_create(
    *,
    max_output_tokens: int | None = None,
    instructions: str | None = None,
    output_modalities: list[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    tool_choice: str | None = None,
    event_id: str | None = None,
) -> bytes:
    """Ask for a response; what is None is left to the session's own setting."""
    response = _present(
        max_output_tokens=max_output_tokens,
        instructions=instructions,
        output_modalities=output_modalities,
        metadata=metadata,
        tool_choice=tool_choice,
    )
    event = {"type": "response.create", **_present(event_id=event_id)}
    return dump({**event, "response": response} if response else event)


def response_cancel(response_id: str | None = None) -> bytes:
    return dump({"type": "response.cancel", **_present(response_id=response_id)})


def truncate(item_id: str, audio_end_ms: int) -> bytes:
    """Tell the model how much of an item the caller heard."""
    event = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
    return dump(event)


def answer_ended(item_id: str, said: str, *, is_spoken: bool) -> list[bytes]:
    """Tell a client that an answer ends where it is: `said` is all of it."""
    place = {"item_id": item_id, "output_index": 0, "content_index": 0}
    if not is_spoken:
        return [dump({"type": "response.output_text.done", **place, "text": said})]
    return [
        dump({"type": "response.output_audio.done", **place}),
        dump({"type": "response.output_audio_transcript.done", **place, "transcript": said}),
    ]


def function_output(call_id: str, output: str) -> bytes:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return dump({"type": "conversation.item.create", "item": item})


def clear_input_audio() -> bytes:
    return dump({"type": "input_audio_buffer.clear"})


def _message(role: str, text: str, item_id: str | None) -> bytes:
    item = {**_present(id=item_id), "type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}
    return dump({"type": "conversation.item.create", "item": item})


def _present(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _read_json(frame: bytes) -> Any:
    try:
        value = _decoder.decode(frame.decode())
        # One byte is searched for six times faster than three.
        if b"\\" in frame and (b"\\ud" in frame or b"\\uD" in frame):
            # Half of a surrogate pair is legal JSON but no text: it would break the first thing that stores it.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidEvent("not_json") from None
    return value


def _audio_delta_of(event: Mapping[str, Any]) -> AudioDelta:
    item_id, delta = event.get("item_id"), event.get("delta")
    if not isinstance(item_id, str) or not isinstance(delta, str):
        raise InvalidEvent("bad_audio")
    return AudioDelta(item_id, decode_audio(delta))


def _plain_id(frame: bytes, name: bytes) -> str | None:
    """Return a member's value when it is written plainly, else None."""
    start = frame.find(name) + len(name)
    end = frame.find(b'"', start, start + _ID_BYTES_MAX + 1)
    raw = frame[start:end]
    if start < len(name) or end < 0 or b"\\" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidEvent("not_json") from None


def _refuse_constant(name: str) -> NoReturn:
    # Python reads NaN and Infinity; JSON has no such words, and other readers choke on them.
    raise ValueError(name)


# Made once: json's functions would make one for every event.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
